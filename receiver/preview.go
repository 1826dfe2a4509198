package receiver

import (
	"encoding/json"

	"github.com/smspager/smspager/templating"
	"github.com/smspager/smspager/templating/gsm7"
)

// previewed is the JSON form of a Preview.
type previewed struct {
	Receiver      string                  `json:"receiver"`
	Ignored       bool                    `json:"ignored"`
	Text          string                  `json:"text"`
	Encoding      string                  `json:"encoding"`
	Septets       int                     `json:"septets"` // UTF-16 units if the encoding is ucs2
	Segments      []previewedSegment      `json:"segments"`
	MaxSegments   int                     `json:"max_segments"`
	Shown         int                     `json:"shown"`
	Hidden        int                     `json:"hidden"`
	Cut           bool                    `json:"cut"`
	Choices       []templating.Choice     `json:"choices"`
	Shortened     []templating.Shortening `json:"shortened"`
	Changes       []gsm7.Change           `json:"changes"`
	TemplateError string                  `json:"template_error,omitempty"`
}

type previewedSegment struct {
	Text    string `json:"text"`
	Septets int    `json:"septets"`
	Room    int    `json:"room"` // septets that the segment can hold
}

// MarshalJSON implements [json.Marshaler]. docs/http.md describes the form.
func (r Preview) MarshalJSON() ([]byte, error) {
	out := previewed{
		Receiver: r.Receiver, Ignored: r.Ignored, Text: r.Text, Encoding: r.Size.Encoding, Septets: r.Size.Units, MaxSegments: r.MaxSegments,
		Shown: r.Shown, Hidden: r.Hidden, Cut: r.Cut,
		Choices: append([]templating.Choice{}, r.Choices()...), Shortened: append([]templating.Shortening{}, r.Shortened...), Changes: append([]gsm7.Change{}, r.Changes()...),
	}
	parts := gsm7.Segments(r.Text)
	for _, part := range parts {
		size := gsm7.Measure(part)
		out.Segments = append(out.Segments, previewedSegment{Text: part, Septets: size.Units, Room: gsm7.Room(size.Encoding, len(parts))})
	}
	if r.Err != nil {
		out.TemplateError = r.Err.Error()
	}
	return json.Marshal(out)
}
