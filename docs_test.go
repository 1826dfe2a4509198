package house_test

import (
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// documents returns the text of each page of documentation, by its path.
func documents(t *testing.T) map[string]string {
	all := make(map[string]string)
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "testdata" || name != "." && strings.HasPrefix(entry.Name(), ".")) {
			return fs.SkipDir
		}
		if filepath.Ext(name) == ".md" {
			all[name] = text(t, name)
		}
		return nil
	})
	if err != nil || len(all) < 20 {
		t.Fatalf("found %d pages: %v", len(all), err)
	}
	return all
}

func text(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var (
	fence   = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	comment = regexp.MustCompile(`(?m)(^|\s)# .*$`) // shell comments
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors returns the anchors of a page's headings, as GitHub makes them.
func anchors(page string) map[string]bool {
	all := make(map[string]bool)
	for _, found := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		var b strings.Builder
		for _, r := range strings.ToLower(found[1]) {
			switch {
			case r == ' ':
				b.WriteRune('-')
			case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
				b.WriteRune(r)
			}
		}
		all[b.String()] = true
	}
	return all
}

// TestLinks: each relative link leads to a file, and its anchor to a heading.
func TestLinks(t *testing.T) {
	pages := documents(t)
	linked := make(map[string]bool)
	for name, page := range pages {
		for _, found := range link.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
			u, err := url.Parse(found[1])
			if err != nil || u.Scheme != "" {
				continue
			}
			to := name
			if u.Path != "" {
				to = filepath.Join(filepath.Dir(name), u.Path)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s: no such file", name, found[1])
			} else if u.Fragment != "" && filepath.Ext(to) == ".md" && !anchors(pages[to])[u.Fragment] {
				t.Errorf("%s: %s: no such heading", name, found[1])
			}
			linked[to] = true
		}
	}
	for name := range pages {
		if filepath.Dir(name) == "docs" && !linked[name] {
			t.Errorf("no page links to %s", name)
		}
	}
}

// TestCommandsOfDocs: each "smspager COMMAND --flag" that a page names exists.
func TestCommandsOfDocs(t *testing.T) {
	program := filepath.Join(t.TempDir(), "smspager")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/smspager").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	help := func(args ...string) string {
		out, _ := exec.Command(program, append(args, "--help")...).CombinedOutput()
		return string(out)
	}
	command := regexp.MustCompile(`(?m)^([a-z][a-z-]*)( |$)`)
	flags := make(map[string]string) // the help of each command
	_, list, _ := strings.Cut(help(), "Commands:")
	for _, found := range command.FindAllStringSubmatch(list, -1) {
		flags[found[1]] = help(found[1])
	}
	if len(flags) < 20 {
		t.Fatalf("only these commands: %v", flags)
	}
	call := regexp.MustCompile("(?:^|[ `/(])smspager ((?:[^`\n|&;#>]|\\\\\n)*)")
	flag := regexp.MustCompile(`(?:^|\s)--([a-z][a-z.-]*)`)
	word := regexp.MustCompile(`^[a-z][a-z-]*$`)
	checked := 0
	for name, page := range documents(t) {
		var code strings.Builder // inline code and blocks; prose may say "smspager sends"
		for _, block := range fence.FindAllString(page, -1) {
			if !strings.HasPrefix(strings.TrimSpace(block), "```sh") {
				continue
			}
			code.WriteString(comment.ReplaceAllString(block, "") + "\n")
		}
		for _, inline := range regexp.MustCompile("`smspager [^`]+`").FindAllString(fence.ReplaceAllString(page, ""), -1) {
			code.WriteString(strings.ReplaceAll(inline, "\n", " ") + "\n")
		}
		for _, found := range call.FindAllStringSubmatch(strings.ReplaceAll(code.String(), "\\\n", " "), -1) {
			words := strings.Fields(found[1])
			if len(words) == 0 || !word.MatchString(words[0]) {
				continue
			}
			known, ok := flags[words[0]]
			if !ok {
				t.Errorf("%s: no command smspager %s", name, words[0])
				continue
			}
			for _, f := range flag.FindAllStringSubmatch(found[1], -1) {
				checked++
				if !regexp.MustCompile(`--(\[no-\])?` + regexp.QuoteMeta(f[1]) + `\b`).MatchString(known) {
					t.Errorf("%s: smspager %s has no --%s", name, words[0], f[1])
				}
			}
		}
	}
	if checked < 30 {
		t.Errorf("only %d flags were found in the pages", checked)
	}
}

// TestNamesOfDocs: each configuration key (a.b) and each metric that a page names exists.
func TestNamesOfDocs(t *testing.T) {
	keys, sections := make(map[string]bool), make(map[string]bool)
	for _, found := range regexp.MustCompile("`([a-z_]+(?:\\.[a-z_]+)+)`").FindAllStringSubmatch(tables(text(t, "docs/configuration.md")), -1) {
		key := found[1]
		keys[key] = true
		for i, r := range key {
			if r == '.' {
				keys[key[:i]], sections[key[:strings.Index(key, ".")]] = true, true
			}
		}
	}
	metrics := make(map[string]bool)
	for _, found := range regexp.MustCompile("`([a-z_]+)(?:\\{[^}]*\\})?`").FindAllStringSubmatch(tables(text(t, "docs/metrics.md")), -1) {
		metrics["smspager_"+found[1]] = true
	}
	if len(keys) < 80 || len(metrics) < 40 {
		t.Fatalf("found %d keys and %d metrics", len(keys), len(metrics))
	}
	key := regexp.MustCompile("`([a-z_]+(?:\\.[a-z_]+)+)(?:`|:)")
	metric := regexp.MustCompile(`\bsmspager_[a-z_]+`)
	for name, page := range documents(t) {
		if name == "CHANGELOG.md" { // it also names old ones
			continue
		}
		for _, found := range key.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
			section, _, _ := strings.Cut(found[1], ".")
			if sections[section] && !keys[found[1]] && !isFile(found[1]) {
				t.Errorf("%s: docs/configuration.md has no key %s", name, found[1])
			}
		}
		for _, found := range metric.FindAllString(page, -1) {
			base := found
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				base = strings.TrimSuffix(base, suffix)
			}
			if !metrics[found] && !metrics[base] && !strings.HasSuffix(found, "_") {
				t.Errorf("%s: docs/metrics.md has no metric %s", name, found)
			}
		}
	}
}

// tables returns the first cells of the rows of a page's tables.
func tables(page string) string {
	var b strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "|") {
			b.WriteString(strings.SplitN(line, "|", 3)[1] + "\n")
		}
	}
	return b.String()
}

// isFile reports whether a dotted name is the name of a file, such as alertmanager.yml.
func isFile(name string) bool {
	switch filepath.Ext(name) {
	case ".yml", ".yaml", ".token", ".password", ".url", ".md", ".go", ".db", ".json", ".sqlite":
		return name != "storage.sqlite"
	}
	return false
}
