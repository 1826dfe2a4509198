package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestInit: init overwrites nothing, and what it writes is valid once the password is in its file.
func TestInit(t *testing.T) {
	file := filepath.Join(t.TempDir(), "smspager.yml")
	code, out, stderr := smspager(t, "", "init", "--user=acme", "--to=+33 6 39 98 00 01", "--outbox=box.db", file)
	if code != 0 || stderr != "" || !strings.Contains(out, "1. Put the password") {
		t.Fatalf("exits with %d: %s%s", code, out, stderr)
	}
	if code, _, stderr := smspager(t, "", "check-config", file); code != 1 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "textinghouse.password_file") {
		t.Errorf("without the password check-config exits with %d: %s", code, stderr)
	}
	writeFile(t, filepath.Join(filepath.Dir(file), "textinghouse.password"), "secret\n")
	if code, out, stderr := smspager(t, "", "check-config", file); code != 0 {
		t.Errorf("check-config exits with %d: %s%s", code, out, stderr)
	}
	for _, token := range []string{"callback.token", "api.token"} {
		info, err := os.Stat(filepath.Join(filepath.Dir(file), token))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", token, info, err)
		}
	}
	before, _ := os.ReadFile(file)
	if code, _, stderr := smspager(t, "", "init", "--user=other", "--to=+33639980001", file); code != 1 || !strings.Contains(stderr, "is there already") {
		t.Errorf("a second init exits with %d: %s", code, stderr)
	}
	if !strings.Contains(string(before), `storage: {sqlite: "box.db"}`) {
		t.Errorf("the outbox is not the one of --outbox:\n%s", before)
	}
	if after, _ := os.ReadFile(file); string(after) != string(before) {
		t.Error("init has overwritten the file")
	}
	if code, _, stderr := smspager(t, "", "init", "--user=acme", "--to=123", filepath.Join(t.TempDir(), "x.yml")); code != 1 || !strings.Contains(stderr, "--to must be") {
		t.Errorf("a bad number: %d %s", code, stderr)
	}
}

// TestInitProposesCommandsThatWork: names in the commands that init prints are quoted for a shell, and a flag that
// makes no valid configuration leaves nothing behind.
func TestInitProposesCommandsThatWork(t *testing.T) {
	file := filepath.Join(t.TempDir(), "my conf.yml")
	for _, flags := range [][]string{{"--user="}, {"--user=acme", "--contact=+33639980001"}, {"--user=acme", "--receiver="}} {
		code, _, stderr := smspager(t, "", append([]string{"init", "--to=+33639980001", file}, flags...)...)
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); code != 1 || len(left) > 0 || !strings.HasPrefix(stderr, "smspager: nothing was written, because ") {
			t.Errorf("init %s exits with %d and leaves %v: %s", flags, code, left, stderr)
		}
	}
	code, out, stderr := smspager(t, "", "init", "--user=acme", "--to=+33639980001", "--contact=Bob O'Neil", file)
	if code != 0 || !strings.Contains(out, "2. smspager check-config '"+file+"'\n") || !strings.Contains(out, ` --wait 'Bob O'\''Neil'`+"\n") {
		t.Errorf("init exits with %d: %s%s", code, out, stderr)
	}
}
