package deploy_test

import (
	"os"
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
}

// TestReleaseTargets: the files that a release names exist, and deploy/targets compiles the program for each
// target of the release.
func TestReleaseTargets(t *testing.T) {
	var r release
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yml")), &r); err != nil {
		t.Fatal(err)
	}
	build := r.Builds[0]
	files := []string{build.Main, strings.Fields(r.Before.Hooks[0])[0]}
	for _, f := range append(files, r.Archives[0].Files...) {
		if _, err := os.Stat(filepath.Join("..", f)); err != nil {
			t.Errorf(".goreleaser.yml: %v", err)
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
