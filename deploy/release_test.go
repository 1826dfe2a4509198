package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// release is what the tests need of .goreleaser.yml.
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

// TestReleaseTargets: the files that a release names exist, and the program compiles for each of its targets.
// The targets take minutes if nothing is cached, so that only the gate builds them.
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
	for _, want := range []string{"linux/amd64", "linux/arm64", "linux/arm", "darwin/amd64", "darwin/arm64", "windows/amd64", "windows/arm64", "freebsd/amd64", "freebsd/arm64"} {
		if !slices.Contains(targets, want) {
			t.Errorf(".goreleaser.yml does not build %s", want)
		}
	}
	if os.Getenv("SMSPAGER_REQUIRE_ALL") == "" {
		t.Skip("the targets are compiled if SMSPAGER_REQUIRE_ALL is set")
	}
	for _, target := range targets {
		system, arch, _ := strings.Cut(target, "/")
		cmd := exec.Command("go", "build", "-trimpath", "-o", os.DevNull, build.Main)
		cmd.Dir = ".."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOARM=7", "GOOS="+system, "GOARCH="+arch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", target, err, out)
		}
	}
}
