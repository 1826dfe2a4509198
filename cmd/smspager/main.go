// Command smspager turns Alertmanager's notifications into SMS that arrive.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/alecthomas/kingpin/v2"
	"github.com/prometheus/common/version"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A second signal ends the program at once.
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// console is where a subcommand reads and writes.
type console struct {
	in       io.Reader
	out, err io.Writer
}

// stdinArgument stands for "-", standard input, in parsed arguments.
const stdinArgument = "/dev/stdin"

// exitError ends the program with a code of its own. A nil err prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// run parses the command line, runs the subcommand and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	c := console{in, out, stderr}
	app := kingpin.New("smspager", "Alertmanager in, SMS that arrive out, through TextingHouse.\n\n"+
		"Try it with no account: smspager demo\n"+
		"Run it:                 smspager serve --config.file=smspager.yml")
	app.UsageWriter(out)
	app.ErrorWriter(stderr)
	app.Version(version.Print("smspager"))
	app.HelpFlag.Short('h')
	terminated := -1
	app.Terminate(func(code int) { terminated = code })

	commands := make(map[string]func(context.Context, console) error)
	for _, add := range []func(*kingpin.Application) (string, func(context.Context, console) error){
		addServe, addDemo, addCheckConfig, addPreview, addSend, addStatus, addCredit, addSimulate, addHealth,
	} {
		name, command := add(app)
		commands[name] = command
	}

	args = slices.Clone(args)
	for i, arg := range args {
		if arg == "-" { // which kingpin would drop
			args[i] = stdinArgument
		}
	}
	chosen, err := app.Parse(args)
	if terminated >= 0 { // --help or --version
		return terminated
	}
	if err != nil {
		fmt.Fprintf(stderr, "smspager: %v; see smspager --help\n", err)
		return 2
	}
	err = commands[chosen](ctx, c)
	if err == nil {
		return 0
	}
	code := 1
	var exit *exitError
	if errors.As(err, &exit) {
		code, err = exit.code, exit.err
	}
	if err != nil {
		fmt.Fprintf(stderr, "smspager: %s\n", strings.TrimSpace(err.Error()))
	}
	return code
}
