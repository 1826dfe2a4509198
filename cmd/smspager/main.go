// Command smspager turns Alertmanager's notifications into SMS that arrive.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
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

// words returns the text of arguments. "-" alone is the text on standard input; "-" among other words is itself.
func (c console) words(args []string) (string, error) {
	if len(args) == 1 && args[0] == stdinArgument {
		const most = 1 << 16
		text, err := io.ReadAll(io.LimitReader(c.in, most))
		return strings.TrimSpace(string(text)), err
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if arg == stdinArgument {
			args[i] = "-"
		}
	}
	return strings.Join(args, " "), nil
}

// plainWord matches what a shell takes as one word.
var plainWord = regexp.MustCompile(`^[\w./:@%+=,~-]+$`)

// word returns an argument as it is written in a command that an output proposes.
func word(arg string) string {
	if plainWord.MatchString(arg) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}

// output is where a command prints. It remembers the first write that failed, so that commands that print line by
// line need not check each.
type output struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.err = cmp.Or(o.err, fmt.Errorf("the output is incomplete: %w", err))
	}
	return n, err
}

func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// exitError ends the program with its own exit code. A nil err prints nothing.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

// terminated is the panic value by which kingpin ends the program.
type terminated int

// run runs the subcommand of a command line, prints its error and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, stdout, stderr io.Writer) int {
	out := &output{w: stdout}
	code, err := execute(ctx, args, console{in, out, stderr})
	if failed := out.failed(); failed != nil && (code == 0 || errors.Is(failed, err)) {
		code, err = 1, failed
	}
	if err != nil {
		fmt.Fprintf(stderr, "smspager: %s\n", strings.TrimSpace(err.Error()))
	}
	return code
}

// execute runs the subcommand of a command line. It returns the exit code, and an error to print.
func execute(ctx context.Context, args []string, c console) (code int, err error) {
	app := kingpin.New("smspager", "Turn Alertmanager notifications into text messages through TextingHouse, and make sure they arrive.\n\n"+
		"Try it with no account: smspager demo\n\n"+
		"Run it: smspager serve --config.file=smspager.yml")
	app.UsageWriter(c.out)
	app.ErrorWriter(c.err)
	shown := version.Print("smspager")
	if slices.Contains(args, "--help-man") { // the manual's title is one line
		shown = cmp.Or(version.Version, "unknown")
	}
	app.Version(shown)
	app.HelpFlag.Short('h')
	// kingpin calls this after --help and --version. If it returned, kingpin would continue.
	app.Terminate(func(code int) { panic(terminated(code)) })
	defer func() {
		switch p := recover().(type) {
		case nil:
		case terminated:
			code = int(p)
		case *os.PathError: // kingpin cannot print the help; run reports it
		default:
			panic(p)
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
	chosen, err := parse(app, args)
	if err != nil {
		return 2, err
	}
	err = commands[chosen](ctx, c)
	var exit *exitError
	switch {
	case errors.As(err, &exit):
		return exit.code, exit.err
	case err != nil:
		return 1, err
	}
	return 0, nil
}

// parse returns the subcommand of a command line. Its errors say which help to read.
func parse(app *kingpin.Application, args []string) (chosen string, err error) {
	help := "smspager"
	parsed, _ := app.ParseContext(args)
	if parsed != nil && parsed.SelectedCommand != nil {
		help += " " + parsed.SelectedCommand.FullCommand()
	}
	if chosen, err = app.Parse(args); err == nil {
		for _, e := range parsed.Elements {
			if arg, ok := e.Clause.(*kingpin.ArgClause); ok && *e.Value == "" {
				err = fmt.Errorf("argument '%s' is empty", arg.Model().Name)
			}
		}
	}
	if err != nil {
		return "", fmt.Errorf("%w; see %s --help", err, help)
	}
	return chosen, nil
}
