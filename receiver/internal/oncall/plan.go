package oncall

import "github.com/smspager/smspager/receiver/internal/oncall/page"

// Plan returns the plan of a receiver's pages, nil if the receiver is not configured.
func (o *OnCall) Plan(receiver string) *page.Plan { return o.pages.plan(receiver) }
