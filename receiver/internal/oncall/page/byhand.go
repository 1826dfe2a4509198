package page

// ByHand is the external URL of a notification that comes from a person or a script. No Alertmanager
// knows its alerts.
const ByHand = "smspager:by-hand"

// ByHand reports whether a person or a script has reported alerts of the page.
func (p *Page) ByHand() bool {
	for _, address := range p.Sources {
		if address == ByHand {
			return true
		}
	}
	return false
}
