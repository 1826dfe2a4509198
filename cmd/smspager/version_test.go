package main

import (
	"runtime/debug"
	"testing"
)

func TestBuiltVersion(t *testing.T) {
	for recorded, want := range map[string]string{
		"v1.2.3": "1.2.3", // go install …@v1.2.3, or go build of a tag
		"v0.0.0-20261128052535-0b5e69d087d9+dirty": "0.0.0-20261128052535-0b5e69d087d9+dirty",
		"(devel)": "unknown", // go build -buildvcs=false
		"":        "unknown", // go test
	} {
		if got := builtVersion(&debug.BuildInfo{Main: debug.Module{Version: recorded}}); got != want {
			t.Errorf("%q gives %q, want %q", recorded, got, want)
		}
	}
}
