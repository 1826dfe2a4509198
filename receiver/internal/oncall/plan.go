package oncall

import "github.com/smspager/smspager/receiver/internal/oncall/page"

// Plan returns the plan of a receiver's pages. It is nil if the receiver is not configured and
// Alertmanager cannot be asked.
func (o *OnCall) Plan(receiver string) *page.Plan { return o.pages.plan(receiver) }
