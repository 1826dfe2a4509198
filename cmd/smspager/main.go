// Command smspager turns Alertmanager's notifications into SMS that arrive.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"

	"github.com/smspager/smspager/internal/zoneinfo"
)

func main() {
	if info, ok := debug.ReadBuildInfo(); ok && version.Version == "" { // a release sets the version with the linker
		version.Version = builtVersion(info)
	}
	if name := os.Getenv("TZ"); name != "" { // Go looks for the zone only on the machine
		if zone, err := zoneinfo.Load(strings.TrimPrefix(name, ":")); err == nil {
			time.Local = zone
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program immediately.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// builtVersion returns the version that go build and go install record, a tag or a pseudo-version,
// without its v. It returns "unknown" if they had no version control to read.
func builtVersion(info *debug.BuildInfo) string {
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return strings.TrimPrefix(v, "v")
	}
	return "unknown"
}

// console holds the input and outputs of a subcommand.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// stdinArgument replaces "-", standard input, in parsed arguments.
const stdinArgument = "/dev/stdin"

// exitError ends the program with its own exit code. A nil err prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// terminated is the panic value by which kingpin ends the program.
type terminated int

// run parses the command line, runs the subcommand and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) (code int) {
	c := console{in, out, stderr}
	app := kingpin.New("smspager", "Turn Alertmanager notifications into text messages through TextingHouse, and make sure they arrive.\n\n"+
		"Try it with no account: smspager demo\n\n"+
		"Run it: smspager serve --config.file=smspager.yml")
	app.UsageWriter(out)
	app.ErrorWriter(stderr)
	app.Version(version.Print("smspager"))
	app.HelpFlag.Short('h')
	// kingpin calls this after --help and --version. If it returned, kingpin would continue.
	app.Terminate(func(code int) { panic(terminated(code)) })
	defer func() {
		if p := recover(); p != nil {
			end, ok := p.(terminated)
			if !ok {
				panic(p)
			}
			code = int(end)
		}
	}()

	commands := make(map[string]func(context.Context, console) error)
	for _, add := range append([]func(*kingpin.Application) (string, func(context.Context, console) error){
		addServe, addDemo, addCheckConfig, addPreview, addSend, addStatus, addCredit, addSimulate, addHealth, addBackup, addRestore, addWho, addPages, addPage, addVerify, addPageNow, addInit,
	}, addActs()...) {
		name, command := add(app)
		commands[name] = command
	}

	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "-" { // kingpin would drop it
			args[i] = stdinArgument
		}
	}
	chosen, err := app.Parse(args)
	if err != nil {
		fmt.Fprintf(stderr, "smspager: %v; see smspager --help\n", err)
		return 2
	}
	err = commands[chosen](ctx, c)
	if err == nil {
		return 0
	}
	code = 1
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	}
	if err != nil {
		fmt.Fprintf(stderr, "smspager: %s\n", strings.TrimSpace(err.Error()))
	}
	return code
}
