package intake

import (
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

// ServeHTTP is the webhook. The path value "receiver" names the receiver; where
// it is empty the payload does. A request without the token gets 401, one that
// is not a notification 400, an unknown receiver 404, one that could be neither
// stored nor sent 503, which Alertmanager retries; it gives up on any other.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	code, answer := in.answer(w, r)
	in.metrics.requests.WithLabelValues(strconv.Itoa(code)).Inc()
	if err, ok := answer.(error); ok && code < 500 {
		in.logger.Warn("a request to the webhook was refused", "code", code, "remote", r.RemoteAddr, "err", err)
	}
	response.Write(w, code, answer)
}

// answer is a status code and a Result or an error.
func (in *Intake) answer(w http.ResponseWriter, r *http.Request) (int, any) {
	s := in.settings.Load()
	if !authorized(r, s.Token) {
		w.Header().Set("WWW-Authenticate", `Bearer realm="smspager"`)
		return http.StatusUnauthorized, errors.New("the webhook needs the token of webhook.token_file: in Alertmanager set http_config.authorization.credentials_file")
	}
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed, fmt.Errorf("the webhook takes POST, not %s", quote(r.Method))
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.MaxBodyBytes))
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("the body is larger than %d bytes (webhook.max_body_bytes); set max_alerts in Alertmanager's webhook_configs", s.MaxBodyBytes)
	} else if err != nil {
		return http.StatusBadRequest, errors.New("the body could not be read")
	}
	n, err := Decode(body)
	if err != nil {
		return http.StatusBadRequest, err
	}
	name := r.PathValue("receiver")
	if name == "" {
		name = n.Receiver
	}
	return in.accept(r.Context(), name, n)
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
	return http.StatusServiceUnavailable, errors.New("the notification could not be stored and not be sent; try again (the log says why)")
}

// authorized reports whether a request has the bearer token, if one is needed.
func authorized(r *http.Request, token config.Secret) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return token == "" || strings.EqualFold(scheme, "Bearer") && token.Matches(strings.TrimSpace(given))
}
