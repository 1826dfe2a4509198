package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/smspager/smspager/internal/postgrestest"
	"github.com/smspager/smspager/receiver/textinghouse/textinghousetest"
)

const token = "0123456789abcdef-chaos"

// recipients holds the recipients of each notification.
var recipients = []string{"+33612345678", "+33612345679"}

// steps holds the recipients of a page, who are paged one after another, because nobody acknowledges it.
var steps = []string{"+33612345670", "+33612345671", "+33612345672"}

const escalateAfter = 4 * time.Second

// world holds what the faults break: the provider, the database, and smspager's processes.
type world struct {
	options
	dir, binary, config string
	sims                []*textinghousetest.Server // the provider's endpoints, which share nothing
	replicas            []*replica
	calm                calm
	lost                spans
	mu                  sync.Mutex
	journal             *os.File

	outbox string // SQLite's file
	small  string // a small file system for that file; "": none

	server                *postgrestest.Server // nil with SQLite
	proxy                 *proxy
	adminURL, databaseURL string // these bypass the proxy
	databaseName          string
}

// log writes a line about faults beside smspager's logs.
func (w *world) log(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fmt.Fprintf(w.journal, time.Now().UTC().Format("15:04:05.000 ")+format+"\n", args...)
}

func newWorld(o options) (_ *world, err error) {
	w := &world{options: o}
	if w.dir, err = os.MkdirTemp("", "smspager-chaos-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(false))
		}
	}()
	w.binary = filepath.Join(w.dir, "smspager")
	if err := w.build(); err != nil {
		return nil, err
	}
	if w.journal, err = os.Create(filepath.Join(w.dir, "faults")); err != nil {
		return nil, err
	}
	for i := range 2 {
		w.sims = append(w.sims, textinghousetest.NewServer(textinghousetest.Options{FirstID: i * 1e9}))
	}
	count := 1
	if o.database == "postgres" {
		count = 2
	}
	storage, err := w.storage()
	if err != nil {
		return nil, err
	}
	w.config = filepath.Join(w.dir, "smspager.yml")
	if err := os.WriteFile(w.config, []byte(w.configuration(storage)), 0o600); err != nil {
		return nil, err
	}
	for range count {
		r, err := newReplica()
		if err == nil {
			err = w.newClock(r)
		}
		if err != nil {
			return nil, err
		}
		w.replicas = append(w.replicas, r)
	}
	for i, sim := range w.sims {
		sim.Update(sim.ClientOptions().User, func(a *textinghousetest.Account) {
			a.ReceiptURL = w.replicas[i%count].url() + "/textinghouse/" + token + "/dlr"
		})
	}
	for _, r := range w.replicas {
		if err := w.start(r); err != nil {
			return nil, err
		}
	}
	if err := w.ready(); err != nil || w.server == nil {
		return w, err
	}
	return w, w.noteStored()
}

func (w *world) build() error {
	arguments := []string{"build", "-o", w.binary}
	if w.clocks {
		overlay, err := w.overlay()
		if err != nil {
			return err
		}
		arguments = append(arguments, "-overlay", overlay)
	}
	if out, err := exec.Command("go", append(arguments, "github.com/smspager/smspager/cmd/smspager")...).CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w\n%s", err, out)
	}
	return nil
}

func (w *world) configuration(storage string) string {
	account := w.sims[0].ClientOptions()
	return fmt.Sprintf(`textinghouse: {user: %s, password: %q, endpoints: [%q, %q], timeout: 2s, callback_token: %s}
storage: {%s}
receivers:
  - {name: sms, to: ["%s"], limits: [], max_age: 1d, text: &text '{{ .CommonAnnotations.summary }}{{ if not .CommonAnnotations.summary }}-{{ end }}'}
  - name: oncall
    to: ["%s"]
    escalate: [{after: %s, to: ["%s"]}, {after: %s, to: ["%s"]}]
    limits: []
    max_age: 1d
    text: *text
  - {name: noise, to: ["%s"], text: *text}
`, account.User, account.Password, w.sims[0].URL, w.sims[1].URL, token, storage, strings.Join(recipients, `", "`),
		steps[0], escalateAfter, steps[1], 2*escalateAfter, steps[2], steps[0])
}

// storage creates the database, and returns its line in the configuration.
func (w *world) storage() (string, error) {
	switch w.database {
	case "sqlite":
		w.small = w.smallFileSystem()
		w.outbox = filepath.Join(w.dir, "smspager.db")
		if w.small != "" {
			w.outbox = filepath.Join(w.small, "smspager.db")
		}
		return "sqlite: " + w.outbox, nil
	case "postgres":
	default:
		return "", fmt.Errorf("--database must be sqlite or postgres, is %q", w.database)
	}
	var err error
	if w.server, err = postgrestest.Start(); err != nil {
		return "", err
	}
	text, err := w.server.Database()
	if err != nil {
		return "", err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", err
	}
	w.databaseName = strings.TrimPrefix(u.Path, "/")
	if w.proxy, err = newProxy(u.Host); err != nil {
		return "", err
	}
	w.databaseURL = text
	admin := *u
	admin.Path = "/postgres"
	w.adminURL = admin.String()
	u.Host = w.proxy.address()
	return "postgres_url: \"" + u.String() + "\"", nil
}

// failing makes requests to the provider fail in a way that leaves messages in doubt, until end is called.
func (w *world) failing() (end func()) {
	over := w.calm.broken(provider)
	remove := w.addFault(textinghousetest.Fault{Kind: textinghousetest.DropAfter, P: 0.5}, w.sims)
	return func() {
		remove()
		over()
	}
}

// smallFileSystem mounts a file system that a fault can fill, and returns its folder. It needs root:
// otherwise it returns "".
func (w *world) smallFileSystem() string {
	dir := filepath.Join(w.dir, "small")
	if os.Geteuid() != 0 || os.Mkdir(dir, 0o700) != nil || syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=512m") != nil {
		fmt.Fprintln(w.out, "the disk is not filled up, as that takes root")
		return ""
	}
	return dir
}

func (w *world) heal() error {
	for _, sim := range w.sims {
		sim.ClearFaults()
	}
	return w.ready()
}

// close stops everything, and removes all files unless keep is set.
func (w *world) close(keep bool) error {
	for _, r := range w.replicas {
		r.end(syscall.SIGTERM)
	}
	for _, sim := range w.sims {
		sim.Close()
	}
	var errs []error
	if w.proxy != nil {
		w.proxy.close()
	}
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	if w.small != "" {
		if keep {
			errs = append(errs, os.CopyFS(filepath.Join(w.dir, "kept"), os.DirFS(w.small)))
		}
		errs = append(errs, syscall.Unmount(w.small, 0))
	}
	if w.journal != nil {
		w.journal.Close()
	}
	if !keep {
		errs = append(errs, os.RemoveAll(w.dir))
	}
	return errors.Join(errs...)
}
