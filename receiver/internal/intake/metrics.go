package intake

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

type metrics struct {
	notifications *prometheus.CounterVec
	requests      *prometheus.CounterVec
	duplicates    *prometheus.CounterVec
	fallbacks     *prometheus.CounterVec
	nobody        *prometheus.CounterVec
	badRecipients *prometheus.CounterVec
	queued        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	f := promauto.With(reg)
	m := &metrics{
		notifications: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_notifications_total", Help: "Notifications for a configured receiver, by outcome.",
		}, []string{"receiver", "outcome"}),
		requests: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_webhook_requests_total", Help: "Requests to the webhook, by status code.",
		}, []string{"code"}),
		duplicates: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_duplicates_total", Help: "Notifications dropped as duplicates: recognised in memory or by the store.",
		}, []string{"by"}),
		fallbacks: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_template_fallbacks_total", Help: "Notifications whose template failed, so that the built-in text was sent.",
		}, []string{"receiver"}),
		nobody: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_notifications_without_recipient_total", Help: "Notifications that paged nobody.",
		}, []string{"receiver"}),
		badRecipients: f.NewCounterVec(prometheus.CounterOpts{
			Name: "smspager_bad_recipients_total", Help: "Recipients in to_label that are neither a contact, a rota nor a number.",
		}, []string{"receiver"}),
		queued: f.NewCounter(prometheus.CounterOpts{
			Name: "smspager_messages_queued_total", Help: "Messages that notifications put into the outbox.",
		}),
	}
	for _, by := range []string{"memory", "store"} {
		m.duplicates.WithLabelValues(by)
	}
	for _, code := range []string{"200", "400", "401", "404", "405", "413", "503"} { // as docs/http.md lists them
		m.requests.WithLabelValues(code)
	}
	return m
}

// begin starts a receiver's series at 0, so that rate includes their first increase.
func (m *metrics) begin(receiver string) {
	for _, outcome := range []Status{Accepted, Duplicate, Ignored, "failed"} {
		m.notifications.WithLabelValues(receiver, string(outcome))
	}
	m.fallbacks.WithLabelValues(receiver)
	m.nobody.WithLabelValues(receiver)
	m.badRecipients.WithLabelValues(receiver)
}
