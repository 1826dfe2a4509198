package config_test

import (
	"fmt"

	"github.com/smspager/smspager/receiver/config"
)

// Every fault is reported in one run, with its place.
func ExampleParse() {
	_, err := config.Parse("smspager.yml", []byte(`
textinghouse: {user: acme, password: correct horse}
receivers:
  - {name: oncall, to: ["+33639980001"], max_segments: 0}
  - {name: backup, too: [alice]}
`))
	fmt.Println(err)
	// Output:
	// smspager.yml:4:42: receivers[0].max_segments: must be 1 to 10, is 0
	// smspager.yml:5:5: receivers[1].to: no recipients: list contacts or numbers, or set to_label
	// smspager.yml:5:20: receivers[1].too: unknown key; did you mean to?
}

// A configuration written in Go gets the same checks and defaults as a file.
func ExampleConfig_Resolve() {
	cfg, err := (&config.Config{
		TextingHouse: config.TextingHouse{User: "acme", Password: "correct horse"},
		Receivers:    []config.Receiver{{Name: "oncall", To: []string{"+33 6 39 98 00 01"}}},
	}).Resolve()
	if err != nil {
		panic(err)
	}
	fmt.Println(cfg.TextingHouse.Password, cfg.Receivers[0].MaxSegments, cfg.Receivers[0].MaxAge)
	// Output: <secret> 2 1h0m0s
}
