package postgrestest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/smspager/smspager/internal/freeport"
)

// ErrNoPooler means that PgBouncer is not installed.
var ErrNoPooler = errors.New("pgbouncer is not installed: apt-get install pgbouncer")

// Pooler starts a PgBouncer in front of the server, with a pool_mode and further lines of its
// configuration. It returns a URL that reaches the database of url through PgBouncer, and a function
// that stops PgBouncer.
func (s *Server) Pooler(url, mode string, settings ...string) (pooled string, stop func() error, err error) {
	program, err := exec.LookPath("pgbouncer")
	if err != nil {
		return "", nil, ErrNoPooler
	}
	port, err := freeport.Get()
	if err != nil {
		return "", nil, err
	}
	config := fmt.Sprintf("[databases]\n* = host=127.0.0.1 port=%d user=smspager\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = %s\nignore_startup_parameters = extra_float_digits\n%s\n",
		s.port, port, mode, strings.Join(settings, "\n"))
	file := filepath.Join(s.dir, fmt.Sprintf("pgbouncer-%d.ini", port))
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		return "", nil, err
	}
	cmd := exec.Command(program, file)
	cmd.SysProcAttr, cmd.Dir = s.attributes(), s.dir
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("pgbouncer: %w", err)
	}
	stop = func() error {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		_ = cmd.Wait() // fails because the process was signalled
		return nil
	}
	pooled = strings.Replace(url, fmt.Sprint(":", s.port, "/"), fmt.Sprint(":", port, "/"), 1)
	const patience = 30 * time.Second
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := ping(pooled)
		if err == nil {
			return pooled, stop, nil
		}
		if time.Now().After(deadline) {
			return "", nil, errors.Join(fmt.Errorf("pgbouncer does not respond: %w", err), stop())
		}
	}
}

func ping(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SELECT 1", pgx.QueryExecModeSimpleProtocol)
	return err
}
