package people

import "github.com/smspager/smspager/receiver/internal/status"

// Calendars returns the source of each rota, and when it was last read.
func (d *Directory) Calendars() []status.Calendar {
	all := []status.Calendar{}
	for _, rota := range d.Roster().duties {
		c := status.Calendar{Rota: rota.Name, Source: "url"}
		switch {
		case rota.Turns.Start != "":
			c.Source = "turns"
		case rota.Calendar != "":
			c.Source = "file"
		}
		rota.mu.Lock()
		c.ReadAt = status.OrNil(rota.readAt)
		if rota.failed != nil {
			c.Error = rota.failed.Error()
		}
		rota.mu.Unlock()
		all = append(all, c)
	}
	return all
}
