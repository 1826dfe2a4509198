package oncall

import "github.com/smspager/smspager/receiver/internal/oncall/page"

// Plan returns what a receiver wants for its pages, nil if it is not configured.
func (o *OnCall) Plan(receiver string) *page.Plan { return o.pages.plan(receiver) }
