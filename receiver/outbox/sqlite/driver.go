package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// driverStmt is a prepared statement that every message needs. It does without [sql.Stmt], which copies
// the arguments for each execution: they would be a tenth of the bytes that a message allocates.
type driverStmt struct {
	conn *sql.Conn
	stmt driver.StmtExecContext
	args []driver.NamedValue // kept for the next execution
}

func (d *driverStmt) prepare(ctx context.Context, conn *sql.Conn, text string) error {
	d.conn = conn
	return conn.Raw(func(c any) error {
		preparer, ok := c.(driver.ConnPrepareContext)
		if !ok {
			return errors.New("the driver cannot prepare statements")
		}
		stmt, err := preparer.PrepareContext(ctx, text)
		if err == nil {
			d.stmt, ok = stmt.(driver.StmtExecContext)
			if !ok {
				err = errors.New("the driver cannot execute statements")
			}
		}
		return err
	})
}

// exec executes the statement. The arguments must have the types of a [driver.Value].
func (d *driverStmt) exec(ctx context.Context, args ...driver.Value) (r sql.Result, err error) {
	d.args = d.args[:0]
	for i, v := range args {
		d.args = append(d.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	defer clear(d.args)
	err = d.conn.Raw(func(any) (err error) {
		r, err = d.stmt.ExecContext(ctx, d.args)
		return err
	})
	return r, err
}

func (d *driverStmt) close() {
	if stmt, ok := d.stmt.(driver.Stmt); ok {
		_ = d.conn.Raw(func(any) error { return stmt.Close() })
	}
}
