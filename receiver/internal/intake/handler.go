package intake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/smspager/smspager/receiver/config"
	"github.com/smspager/smspager/receiver/internal/response"
	"github.com/smspager/smspager/templating"
)

// ServeHTTP serves the webhook. The path value "receiver" names the receiver; if it is empty, the
// payload does. It responds 401 without the token, 400 if the body is not a notification, 404 if
// the receiver is unknown, and 503 if the messages could be neither stored nor sent. Alertmanager
// retries after 503 only.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, body := in.respond(w, r)
	in.metrics.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	if err, ok := body.(error); ok && code < 500 {
		in.refusals.Warn("webhook request refused", "code", code, "remote", r.RemoteAddr, "err", err)
	}
	response.Write(w, code, body)
}

// respond handles a request. It returns the status code, and a Result or an error.
func (in *Intake) respond(w http.ResponseWriter, r *http.Request) (int, any) {
	s := in.settings.Load()
	if !authorized(r, s.Token) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="smspager"`)
		return http.StatusUnauthorized, errors.New("the bearer token is missing or wrong; in Alertmanager set http_config.authorization.credentials_file to the token of webhook.token_file")
	}
	if r.Method != http.MethodPost && r.Method != http.MethodPut {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, fmt.Errorf("the method must be POST or PUT, is %s", quote(r.Method))
	}
	head, err := readHead(r)
	if err != nil {
		return http.StatusBadRequest, errUnread
	}
	if len(head) == smallBody {
		size := s.MaxBodyBytes
		if r.ContentLength >= 0 {
			size = min(size, r.ContentLength)
		}
		leave, err := in.line.enter(r.Context(), size)
		if err != nil {
			w.Header().Set("Retry-After", retryAfter)
			return http.StatusServiceUnavailable, err
		}
		defer leave()
	}
	n, err := decodeBody(w, r, head, s.MaxBodyBytes)
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes (%d times webhook.max_body_bytes); set max_alerts in Alertmanager's webhook_configs", tooLarge.Limit, maxBodies)
	} else if err != nil {
		return http.StatusBadRequest, err
	}
	name := r.PathValue("receiver")
	if name == "" {
		name = n.Receiver
	}
	return in.accept(r.Context(), name, n)
}

// maxBodies is the maximum size of a body, in multiples of max_body_bytes.
const maxBodies = 16

var errUnread = errors.New("the body cannot be read")

// readHead reads the first smallBody bytes of a request's body, or all of it.
func readHead(r *http.Request) (head []byte, err error) {
	if r.ContentLength > 0 {
		head = make([]byte, min(r.ContentLength, smallBody))
		_, err = io.ReadFull(r.Body, head)
		return head, err
	}
	return io.ReadAll(io.LimitReader(r.Body, smallBody))
}

// decodeBody reads the notification of a request; head is the beginning of its body. If the body is
// larger than most bytes, decodeBody keeps as many whole alerts as fit, and counts the others as
// truncated.
func decodeBody(w http.ResponseWriter, r *http.Request, head []byte, most int64) (templating.Notification, error) {
	switch {
	case len(head) < smallBody && int64(len(head)) <= most:
		return Decode(head)
	case r.ContentLength > maxBodies*most:
		return templating.Notification{}, &http.MaxBytesError{Limit: maxBodies * most}
	}
	whole := io.MultiReader(bytes.NewReader(head), r.Body)
	body := http.MaxBytesReader(w, io.NopCloser(whole), maxBodies*most) // the server closes r.Body
	beginning, err := io.ReadAll(io.LimitReader(body, most+1))
	switch {
	case err != nil:
		return templating.Notification{}, errUnread
	case int64(len(beginning)) <= most:
		return Decode(beginning)
	}
	return decode(newReader(io.MultiReader(bytes.NewReader(beginning), body), most))
}

func (in *Intake) accept(ctx context.Context, name string, n templating.Notification) (int, any) {
	result, err := in.Notify(ctx, name, n)
	var unknown *UnknownReceiverError
	switch {
	case err == nil:
		return http.StatusOK, result
	case errors.As(err, &unknown):
		return http.StatusNotFound, err
	case errors.Is(err, ErrStopping):
		return http.StatusServiceUnavailable, err
	}
	return http.StatusServiceUnavailable, errors.New("the messages could be neither stored nor sent; try again (see the log)")
}

// authorized reports whether a request has the bearer token, or no token is required.
func authorized(r *http.Request, token config.Secret) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token == "" || strings.EqualFold(scheme, "Bearer") && token.Matches(strings.TrimSpace(given))
}
