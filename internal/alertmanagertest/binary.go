package alertmanagertest

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// module is the module that Built builds, in the version that go.mod requires.
const module = "github.com/prometheus/alertmanager"

// ErrMissing means that Debian's Alertmanager is not installed.
var ErrMissing = errors.New("prometheus-alertmanager is not installed: apt-get install prometheus-alertmanager")

// Debian returns the Alertmanager that Debian's package installs, 0.25 or later.
func Debian() (binary string, err error) {
	if binary, err = exec.LookPath("prometheus-alertmanager"); err != nil {
		return "", ErrMissing
	}
	return binary, nil
}

// All returns functions that find each Alertmanager that tests run: Debian's, the one of go.mod, and the
// versions that SMSPAGER_ALERTMANAGERS lists, such as "v0.28.1 v0.32.3".
func All() map[string]func() (binary string, err error) {
	all := map[string]func() (string, error){"debian": Debian, "go.mod": Built}
	for _, version := range strings.Fields(os.Getenv("SMSPAGER_ALERTMANAGERS")) {
		all[version] = func() (string, error) {
			return built("go", "mod", "download", "-json", module+"@"+version)
		}
	}
	return all
}

// Built returns the Alertmanager of the version that go.mod requires.
func Built() (binary string, err error) { return built("go", "list", "-m", "-json", module) }

// built returns the Alertmanager of the module that a command describes. The first call builds it and keeps
// it in the user's cache. The module lacks the built files of its user interface, which it needs to
// compile; built uses empty ones.
func built(command ...string) (binary string, err error) {
	var m struct{ Version, Dir string }
	out, err := exec.Command(command[0], command[1:]...).Output()
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		return "", fmt.Errorf("find the module %s: %w", module, err)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "smspager")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	binary = filepath.Join(dir, "alertmanager-"+m.Version)
	lock := flock.New(binary + ".lock") // tests of several packages may run simultaneously
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Unlock()
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	return binary, build(m.Dir, binary)
}

// build builds a copy of a module.
func build(module, binary string) (err error) {
	source, err := os.MkdirTemp("", "alertmanagertest")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(source)) }()
	if err := os.CopyFS(source, os.DirFS(module)); err != nil {
		return err
	}
	for _, console := range []string{"elm", "mantine"} {
		dist := filepath.Join(source, "ui", "app", "dist", console)
		if err := os.MkdirAll(dist, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dist, "index.html"), nil, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command("go", "build", "-o", binary+".new", "./cmd/alertmanager")
	cmd.Dir, cmd.Env = source, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build Alertmanager: %w\n%s", err, out)
	}
	return os.Rename(binary+".new", binary)
}
