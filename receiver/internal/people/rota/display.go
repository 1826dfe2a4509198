package rota

import (
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/smspager/smspager/internal/zoneinfo"
)

// places maps places in the zone names that Windows displays ("(UTC-05:00) Eastern Time (US & Canada)") to
// zones, if the IANA database has no city of that name.
var places = map[string]string{
	"coordinated universal time": "Etc/UTC", "greenwich mean time": "Europe/London", "eastern time": "America/New_York", "central time": "America/Chicago",
	"mountain time": "America/Denver", "pacific time": "America/Los_Angeles", "atlantic time": "America/Halifax", "newfoundland": "America/St_Johns",
	"alaska": "America/Anchorage", "arizona": "America/Phoenix", "saskatchewan": "America/Regina", "indiana": "America/Indiana/Indianapolis", "central america": "America/Guatemala",
	"brasilia": "America/Sao_Paulo", "salvador": "America/Bahia", "greenland": "America/Nuuk", "quito": "America/Guayaquil", "baja california": "America/Tijuana",
	"georgetown": "America/Guyana", "aleutian islands": "America/Adak", "international date line west": "Etc/GMT+12", "coordinated universal time-11": "Etc/GMT+11", "mid-atlantic": "Etc/GMT+2",
	"marquesas islands": "Pacific/Marquesas", "marshall is.": "Pacific/Majuro", "solomon is.": "Pacific/Guadalcanal", "samoa": "Pacific/Apia", "nuku'alofa": "Pacific/Tongatapu",
	"cabo verde is.": "Atlantic/Cape_Verde", "cape verde islands": "Atlantic/Cape_Verde", "west central africa": "Africa/Lagos", "harare": "Africa/Harare", "pretoria": "Africa/Johannesburg",
	"port louis": "Indian/Mauritius", "abu dhabi": "Asia/Dubai", "islamabad": "Asia/Karachi", "chennai": "Asia/Kolkata", "sri jayawardenepura": "Asia/Colombo",
	"astana": "Asia/Almaty", "ekaterinburg": "Asia/Yekaterinburg", "beijing": "Asia/Shanghai", "osaka": "Asia/Tokyo", "petropavlovsk-kamchatsky": "Asia/Kamchatka",
	"canberra": "Australia/Sydney", "wellington": "Pacific/Auckland", "tbilisi": "Asia/Tbilisi", "central european time": "Europe/Brussels", "eastern european time": "Europe/Bucharest",
	"western european time": "Europe/Lisbon",
}

var (
	// shownOffset matches the offset at the start of the names that Windows displays.
	shownOffset = regexp.MustCompile(`(?i)^\((?:UTC|GMT)\s*([+-]\d{1,2}[:.]\d{2})?\)\s*`)
	// betweenPlaces separates the places in these names. It includes text in parentheses after a place.
	betweenPlaces = regexp.MustCompile(`\s*(?:\([^)]*\)|[,;:]|\s-\s)\s*`)
)

// displayed returns the zone for a name as Windows displays it, or for a zone's name in another letter case.
// It is the zone of the first known place whose offset is the one in the name, or else of the first known
// place, because an offset may have changed by law.
func (z *zones) displayed(id string) (location, bool) {
	if z.places == nil {
		z.places = zonesByPlace()
	}
	id = strings.TrimSpace(id)
	rest, offset := shownOffset.ReplaceAllString(id, ""), ""
	if m := shownOffset.FindStringSubmatch(id); m != nil {
		offset = strings.ReplaceAll(m[1], ".", ":")
	}
	var found location
	for _, place := range append([]string{rest}, betweenPlaces.Split(rest, -1)...) {
		l, err := load(z.places[strings.ToLower(strings.TrimSpace(place))])
		if err != nil {
			continue
		}
		if found.Location == nil {
			found = l
		}
		for _, month := range []time.Month{time.January, time.July} {
			if time.Date(2026, month, 1, 0, 0, 0, 0, l.Location).Format("-07:00") == offset {
				return l, true
			}
		}
	}
	return found, found.Location != nil
}

// zonesByPlace returns the names of zones by city, place, zone name and Windows name, in lower case.
func zonesByPlace() map[string]string {
	all := make(map[string]string)
	for _, name := range zoneinfo.Names() {
		all[strings.ToLower(name)] = name
		if city := name[strings.LastIndexByte(name, '/')+1:]; city != name {
			all[strings.ToLower(strings.ReplaceAll(city, "_", " "))] = name
		}
	}
	for name, zone := range windows {
		all[strings.ToLower(name)] = zone
	}
	maps.Copy(all, places)
	return all
}
