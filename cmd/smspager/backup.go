package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kingpin/v2"

	"github.com/smspager/smspager/receiver"
	"github.com/smspager/smspager/receiver/outbox/sqlite"
	"github.com/smspager/smspager/templating"
)

// backup is the subcommand backup.
type backup struct{ configFile, to string }

func addBackup(app *kingpin.Application) (string, func(context.Context, console) error) {
	var b backup
	cmd := app.Command("backup", "Copy a consistent snapshot of the outbox to a new file, while smspager runs. smspager restore puts it back.\n\n"+
		"Example: smspager backup -c smspager.yml /var/backups/smspager.db")
	cmd.Flag("config.file", "The configuration file.").Short('c').Default(defaultConfig).StringVar(&b.configFile)
	cmd.Arg("file", "The copy. It must not exist.").Required().StringVar(&b.to)
	return cmd.FullCommand(), b.run
}

func (b *backup) run(ctx context.Context, c console) error {
	file, err := outboxFile(b.configFile, "copy it with pg_dump")
	if err != nil {
		return err
	}
	messages, err := sqlite.Backup(ctx, file, b.to)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s holds %s\n", b.to, templating.Counted(messages, "message"))
	return nil
}

// outboxFile returns the file of a configuration's outbox. If the outbox is in PostgreSQL, it
// returns an error that says what to do instead.
func outboxFile(configFile, instead string) (string, error) {
	cfg, err := receiver.LoadConfig(configFile)
	if err == nil && cfg.Storage.SQLite == "" {
		err = errors.New("the outbox is in PostgreSQL; " + instead)
	}
	if err != nil {
		return "", err
	}
	return cfg.Storage.SQLite, nil
}
