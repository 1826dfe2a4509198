package templating

import (
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
)

// Limits of what rendering a template may cost. A template that exceeds one, for a single alert,
// counts as failed.
const (
	// maxOutput is in bytes. Ten segments hold 1,530 septets.
	maxOutput = 64 << 10
	// maxSteps counts the templates entered and the rounds of their ranges, so that a template that
	// writes nothing also ends.
	maxSteps = 1 << 20
	// maxDepth bounds templates within templates. Go's own limit, 100,000, needs more than 100 MB
	// of stack.
	maxDepth = 1000
)

var (
	errTooLong = fmt.Errorf("the template writes more than %d bytes", maxOutput)
	errTooSlow = fmt.Errorf("the template needs more than %d steps", maxSteps)
	errTooDeep = fmt.Errorf("templates are nested more than %d deep", maxDepth)
)

// Functions that instrument puts into templates. valueFunc gets each value that is written and
// returns what to write; the others write nothing.
const (
	enterFunc = "_enter"
	leaveFunc = "_leave"
	roundFunc = "_round"
	valueFunc = "_value"
)

// effort counts what a template has used so far.
type effort struct{ steps, depth int }

func (e *effort) funcs() template.FuncMap {
	step := func() (string, error) {
		if e.steps++; e.steps > maxSteps {
			return "", errTooSlow
		}
		return "", nil
	}
	return template.FuncMap{
		roundFunc: step,
		enterFunc: func() (string, error) {
			if e.depth++; e.depth > maxDepth {
				return "", errTooDeep
			}
			return step()
		},
		leaveFunc: func() string { e.depth--; return "" },
	}
}

// instrument changes every template of a set so that it counts its effort and writes its values
// through valueFunc. It skips templates shared with before, which is instrumented already.
func instrument(set, before *template.Template) {
	for _, t := range set.Templates() {
		if old := before.Lookup(t.Name()); t.Tree == nil || old != nil && old.Tree == t.Tree {
			continue
		}
		root := t.Root
		instrumentList(root)
		root.Nodes = append([]parse.Node{call(enterFunc, root)}, root.Nodes...)
		root.Nodes = append(root.Nodes, call(leaveFunc, root))
	}
}

func instrumentList(list *parse.ListNode) {
	if list == nil {
		return
	}
	for _, node := range list.Nodes {
		switch n := node.(type) {
		case *parse.ActionNode:
			if len(n.Pipe.Decl) == 0 {
				n.Pipe.Cmds = append(n.Pipe.Cmds, command(valueFunc, n.Pos))
			}
		case *parse.IfNode:
			instrumentList(n.List)
			instrumentList(n.ElseList)
		case *parse.WithNode:
			instrumentList(n.List)
			instrumentList(n.ElseList)
		case *parse.RangeNode:
			instrumentList(n.List)
			instrumentList(n.ElseList)
			n.List.Nodes = append([]parse.Node{call(roundFunc, n.List)}, n.List.Nodes...)
		}
	}
}

// call returns the action {{ name }}, at the position of a list.
func call(name string, at *parse.ListNode) *parse.ActionNode {
	pos := at.Position()
	return &parse.ActionNode{NodeType: parse.NodeAction, Pos: pos, Pipe: &parse.PipeNode{
		NodeType: parse.NodePipe, Pos: pos, Cmds: []*parse.CommandNode{command(name, pos)},
	}}
}

func command(name string, pos parse.Pos) *parse.CommandNode {
	return &parse.CommandNode{NodeType: parse.NodeCommand, Pos: pos, Args: []parse.Node{parse.NewIdentifier(name).SetPos(pos)}}
}

// undefined returns an error if a template, or one that it enters, enters a template that is not
// defined. Go reports that only during execution.
func undefined(set *template.Template, name string, seen map[string]bool) error {
	t := set.Lookup(name)
	if t == nil || t.Tree == nil || seen[name] {
		return nil
	}
	seen[name] = true
	var visit func(list *parse.ListNode) error
	visit = func(list *parse.ListNode) error {
		if list == nil {
			return nil
		}
		for _, node := range list.Nodes {
			var err error
			switch n := node.(type) {
			case *parse.TemplateNode:
				if set.Lookup(n.Name) == nil {
					where, _ := t.ErrorContext(n)
					return fmt.Errorf("%s: template %q not defined; templates are defined by {{ define %q }} in the files of templates", where, n.Name, n.Name)
				}
				err = undefined(set, n.Name, seen)
			case *parse.IfNode:
				err = visitBoth(visit, &n.BranchNode)
			case *parse.WithNode:
				err = visitBoth(visit, &n.BranchNode)
			case *parse.RangeNode:
				err = visitBoth(visit, &n.BranchNode)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return visit(t.Root)
}

func visitBoth(visit func(*parse.ListNode) error, n *parse.BranchNode) error {
	if err := visit(n.List); err != nil {
		return err
	}
	return visit(n.ElseList)
}

// boundedWriter stops a template that writes too much.
type boundedWriter struct {
	strings.Builder
	full bool
}

func (w *boundedWriter) Write(p []byte) (int, error) {
	if room := maxOutput - w.Len(); len(p) > room {
		w.full = true
		w.Builder.Write(p[:room])
		return room, errTooLong
	}
	return w.Builder.Write(p)
}
