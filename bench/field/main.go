// Command field runs the tests of the inputs from public fault reports (payloads, configurations,
// calendars, replies, callbacks, scenarios; inputs.txt lists them), and prints how many pass, by kind.
//
//	go run ./bench/field [FOLDER]
//
// If the folder of the originals is given, each of its files must be listed in inputs.txt.
package main

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
)

//go:embed inputs.txt
var inputs string

// kinds names, for each kind of file, the test that passes the files through the program's own entry.
// Its subtests are named after the files.
var kinds = []struct{ kind, folder, test string }{
	{"config", "cmd/smspager", "TestFieldConfigurations"},       // check-config
	{"ics", "receiver", "TestFieldCalendars"},                   // who
	{"mo", "receiver/internal/oncall", "TestFieldCallbacks"},    // POST …/mo
	{"payload", "cmd/smspager", "TestFieldPayloads"},            // preview
	{"replies", "receiver/internal/oncall", "TestFieldReplies"}, // a simulated phone
	{"scenario", "receiver/internal/oncall", "TestScenarios"},   // a receiver and simulated phones
}

// alone names the scenarios with a test of their own.
var alone = map[string]string{
	"scenario-calendar-takes-12s.yml":       "receiver/internal/oncall TestScenarioCalendarTakes12s",
	"scenario-log-reader-gone.yml":          "cmd/smspager TestLogReaderGone",
	"scenario-log-reader-stalls.yml":        "cmd/smspager TestLogReaderStalls",
	"scenario-provider-moves.yml":           "receiver/textinghouse TestProviderMoves",
	"scenario-silenced-in-alertmanager.yml": "receiver/internal/oncall TestScenarios/fault-09a-silenced-in-alertmanager",
	"scenario-urgent-in-capitals.yml":       "receiver/internal/oncall TestUrgentInCapitals",
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "field: %v\n", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	all := strings.Fields(inputs)
	if len(args) > 0 {
		entries, err := os.ReadDir(args[0])
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.Name() != "README.md" && !slices.Contains(all, e.Name()) {
				return fmt.Errorf("%s has no test; add it to inputs.txt", e.Name())
			}
		}
	}
	passed, err := outcomes()
	if err != nil {
		return err
	}
	failed, total := 0, 0
	for _, k := range kinds {
		of, pass := 0, 0
		for _, name := range all {
			if !strings.HasPrefix(name, k.kind+"-") {
				continue
			}
			of++
			test := fmt.Sprintf("%s %s/%s", k.folder, k.test, strings.TrimSuffix(name, ".yml"))
			if k.kind != "scenario" {
				test = fmt.Sprintf("%s %s/%s", k.folder, k.test, name)
			}
			if own, ok := alone[name]; ok {
				test = own
			}
			if passed[test] {
				pass++
			} else {
				fmt.Printf("FAIL %s (%s)\n", name, test)
			}
		}
		fmt.Printf("%-9s %2d of %2d pass\n", k.kind, pass, of)
		total, failed = total+of, failed+of-pass
	}
	fmt.Printf("%-9s %2d of %2d pass\n", "all", total-failed, total)
	if failed > 0 || total != len(all) {
		return fmt.Errorf("%d of %d inputs do not pass", len(all)-total+failed, len(all))
	}
	return nil
}

// outcomes runs the tests and returns those that pass, by package and name.
func outcomes() (map[string]bool, error) {
	var folders, tests []string
	add := func(folder, test string) {
		if test, _, _ = strings.Cut(test, "/"); !slices.Contains(tests, test) {
			tests = append(tests, test)
		}
		if folder = "./" + folder; !slices.Contains(folders, folder) {
			folders = append(folders, folder)
		}
	}
	for _, k := range kinds {
		add(k.folder, k.test)
	}
	for _, own := range alone {
		folder, test, _ := strings.Cut(own, " ")
		add(folder, test)
	}
	test := exec.Command("go", append([]string{"test", "-json", "-run", "^(" + strings.Join(tests, "|") + ")$"}, folders...)...)
	test.Stderr = os.Stderr
	out, err := test.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := test.Start(); err != nil {
		return nil, err
	}
	passed := make(map[string]bool)
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test string }
		if json.Unmarshal(lines.Bytes(), &e) == nil && e.Action == "pass" && e.Test != "" {
			passed[strings.TrimPrefix(e.Package, "github.com/smspager/smspager/")+" "+path.Clean(e.Test)] = true
		}
	}
	_ = test.Wait() // a test that failed is not among them
	return passed, lines.Err()
}
