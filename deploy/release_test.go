package deploy_test

import (
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// release holds the parts of .goreleaser.yml that the tests need.
type release struct {
	Builds []struct {
		Main         string
		Ldflags      []string
		Goos, Goarch []string
		Ignore       []struct{ Goos, Goarch string }
	}
	Archives []struct{ Files []string }
	Before   struct{ Hooks []string }
	Release  extra
	Checksum extra
}

// extra lists files that goreleaser does not make itself.
type extra struct {
	ExtraFiles []struct{ Glob string } `yaml:"extra_files"`
}

// TestReleaseTargets: the files that a release names exist, and deploy/targets compiles the program for each
// target of the release.
func TestReleaseTargets(t *testing.T) {
	var r release
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yml")), &r); err != nil {
		t.Fatal(err)
	}
	build := r.Builds[0]
	files := []string{build.Main}
	for _, hook := range r.Before.Hooks {
		words := strings.Fields(hook)
		if words[0] == "rm" {
			continue
		}
		files = append(files, words[0])
		// Goreleaser fails if a hook writes into dist. The hook's files must be released, with checksums.
		folder := words[len(words)-2]
		for name, e := range map[string]extra{"release": r.Release, "checksum": r.Checksum} {
			for _, f := range e.ExtraFiles {
				if path.Dir(path.Clean(f.Glob)) != folder || strings.HasPrefix(folder, "dist") {
					t.Errorf(".goreleaser.yml: %q writes into %s; %s has %s", hook, folder, name, f.Glob)
				}
			}
			if len(e.ExtraFiles) != 2 {
				t.Errorf(".goreleaser.yml: %s has the files %v, want the deb and the rpm", name, e.ExtraFiles)
			}
		}
	}
	for _, f := range append(files, r.Archives[0].Files...) {
		if found, err := filepath.Glob(filepath.Join("..", f)); err != nil || len(found) == 0 {
			t.Errorf(".goreleaser.yml: %s: no such file, %v", f, err)
		}
	}
	if !strings.Contains(strings.Join(build.Ldflags, " "), "-s -w") {
		t.Error(".goreleaser.yml: releases are not stripped (-s -w)")
	}
	var targets []string
	for _, system := range build.Goos {
		for _, arch := range build.Goarch {
			if !slices.ContainsFunc(build.Ignore, func(i struct{ Goos, Goarch string }) bool { return i.Goos == system && i.Goarch == arch }) {
				targets = append(targets, system+"/"+arch)
			}
		}
	}
	compiled := regexp.MustCompile(`[a-z]+/(amd64|arm64|arm)\b`).FindAllString(read(t, "targets"), -1)
	slices.Sort(targets)
	slices.Sort(compiled)
	if !slices.Equal(targets, compiled) {
		t.Errorf(".goreleaser.yml builds %v; deploy/targets compiles %v", targets, compiled)
	}
}
