package main

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/e164"
)

//go:embed init.yml.tmpl
var initText string

var initTemplate = template.Must(template.New("init").Parse(initText))

// initCommand is the subcommand init.
type initCommand struct{ File, User, Receiver, Contact, Number, Outbox string }

func addInit(app *kingpin.Application) (string, func(context.Context, console) error) {
	var i initCommand
	cmd := app.Command("init", "Write a commented configuration for one receiver and one contact, with new tokens and a login for the command line next to it. It overwrites no existing file.\n\n"+
		"Example: smspager init --user=acme --to=+33639980001")
	cmd.Flag("user", "The user of your account's HTTP API.").Required().StringVar(&i.User)
	cmd.Flag("to", "The contact's number.").Required().StringVar(&i.Number)
	cmd.Flag("contact", "The contact's name.").Default("alice").StringVar(&i.Contact)
	cmd.Flag("receiver", "The receiver's name in Alertmanager's configuration.").Default("oncall").StringVar(&i.Receiver)
	cmd.Flag("outbox", "The file of the outbox, in a folder that smspager serve can write.").Default("smspager.db").StringVar(&i.Outbox)
	cmd.Arg("file", "The configuration file.").Default("smspager.yml").StringVar(&i.File)
	return cmd.FullCommand(), i.run
}

func (i *initCommand) run(_ context.Context, c console) error {
	number, err := e164.Parse(i.Number)
	if err != nil {
		return fmt.Errorf("--to %w", err)
	}
	i.Number = string(number)
	var text bytes.Buffer
	if err := initTemplate.Execute(&text, i); err != nil {
		return err
	}
	dir := filepath.Dir(i.File)
	files := []initFile{
		{filepath.Join(dir, "callback.token"), []byte(rand.Text() + "\n"), 0o600},
		{filepath.Join(dir, "api.token"), []byte(rand.Text() + "\n"), 0o600},
		{filepath.Join(dir, "login.yml"), []byte("# The login of commands that ask a running smspager: --http.config.file, SMSPAGER_HTTP_CONFIG_FILE.\nauthorization: {credentials_file: api.token}\n"), 0o644},
		{i.File, text.Bytes(), 0o644},
	}
	for _, f := range files {
		if _, err := os.Lstat(f.name); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already; move it away, or name another file", f.name)
		}
	}
	if err := i.write(files); err != nil {
		for _, f := range files { // so that the same command can be corrected and run again
			_ = os.Remove(f.name)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w; make the folder %s first", err, dir)
		}
		return err
	}
	fmt.Fprintf(c.out, "wrote %s, callback.token, api.token and login.yml. Next:\n"+
		"1. Put the password of the HTTP API (in the portal: Options) into %s\n"+
		"2. smspager check-config %s\n"+
		"3. smspager send -c %s --to=999 --wait \"test\"\n"+
		"4. smspager serve --config.file=%s\n"+
		"5. smspager verify --http.config.file=%s --wait %s\n", i.File, filepath.Join(dir, "textinghouse.password"), word(i.File), word(i.File), word(i.File), word(filepath.Join(dir, "login.yml")), word(i.Contact))
	return nil
}

// initFile is a file that init writes.
type initFile struct {
	name string
	text []byte
	mode os.FileMode
}

// write writes the files. It returns an error if a flag has made a configuration that is not valid.
func (i *initCommand) write(files []initFile) error {
	for _, f := range files {
		if err := os.WriteFile(f.name, f.text, f.mode); err != nil {
			return err
		}
	}
	var faults config.Errors
	if _, err := receiver.LoadConfig(i.File); errors.As(err, &faults) { // the password may still be missing
		for _, fault := range faults {
			if fault.Path != "textinghouse.password_file" {
				return fmt.Errorf("nothing was written, because %s %s", fault.Path, fault.Message)
			}
		}
	}
	return nil
}
