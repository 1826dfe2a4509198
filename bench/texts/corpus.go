package main

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"time"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/templating"
)

// corpusTime is the moment at which a corpus is rendered. The corpus's expected figures assume it.
var corpusTime = time.Date(2026, 11, 27, 3, 20, 0, 0, time.UTC)

// renderCorpus writes a line {"id", "text", "segments"} for each line {"id", "payload"} of a
// gzipped corpus.
func renderCorpus(name string, out io.Writer) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	unzipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	text, err := defaultText(corpusTime)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(unzipped)
	lines.Buffer(nil, 16<<20)
	encoder := json.NewEncoder(out)
	for lines.Scan() {
		var c struct {
			ID      string          `json:"id"`
			Payload json.RawMessage `json:"payload"`
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		n, err := receiver.Decode(c.Payload)
		if err != nil {
			return err
		}
		r := text.Render(n, templating.Budget{MaxSegments: 2})
		if err := encoder.Encode(map[string]any{"id": c.ID, "text": r.Text, "segments": r.Size.Segments}); err != nil {
			return err
		}
	}
	return lines.Err()
}
