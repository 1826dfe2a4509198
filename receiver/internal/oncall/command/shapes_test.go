package command

import "testing"

// TestShapes: no sentence fits two shapes, so their order does not matter.
func TestShapes(t *testing.T) {
	both := func(a, b need) bool { return a == b || a == may || b == may }
	for i, a := range shapes {
		for _, b := range shapes[i+1:] {
			if a.verb == b.verb && both(a.codes, b.codes) && both(a.long, b.long) && both(a.all, b.all) && both(a.proof, b.proof) && both(a.chat, b.chat) {
				t.Errorf("%+v and %+v fit the same sentence", a, b)
			}
		}
	}
}
