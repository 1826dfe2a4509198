package page

import (
	"maps"
	"slices"
)

// ByHand is the external URL of a notification that a person or a script made. No Alertmanager knows
// its alerts.
const ByHand = "smspager:by-hand"

// ByHand reports whether a person or a script made the page.
func (p *Page) ByHand() bool { return slices.Contains(slices.Collect(maps.Values(p.Sources)), ByHand) }
