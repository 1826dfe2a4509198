package templating

import (
	"strings"

	alertmanager "github.com/prometheus/alertmanager/template"
	"github.com/prometheus/common/model"
)

// Grafana's names of alerts whose rule could not be evaluated. The rule's name is in the label
// rulename (grafana/grafana, pkg/services/ngalert/state/state.go).
const (
	grafanaNoData = "DatasourceNoData"
	grafanaError  = "DatasourceError"
	grafanaReason = "grafana_state_reason"
	grafanaRule   = "rulename"
)

// unevaluated returns why Grafana could not evaluate the rule of an alert that fires for that
// reason, or "".
func unevaluated(a *alertmanager.Alert) string {
	switch a.Labels[model.AlertNameLabel] {
	case grafanaNoData:
		return "no data"
	case grafanaError:
		return "data source error"
	}
	if a.Status == string(model.AlertFiring) {
		return stateReason(a)
	}
	return ""
}

// stateReasons maps what Grafana writes into the annotation grafana_state_reason of an alert that
// fires or ended for another reason than its values (pkg/services/ngalert/models/alert_rule.go).
var stateReasons = map[string]string{
	"missingseries": "no data", "nodata": "no data", "error": "error", "paused": "rule paused", "ruledeleted": "rule deleted", "updated": "rule changed",
}

// stateReason returns the reason of Grafana's state, or "".
func stateReason(a *alertmanager.Alert) string {
	for one := range strings.SplitSeq(a.Annotations[grafanaReason], ",") {
		if why := stateReasons[strings.ToLower(strings.TrimSpace(one))]; why != "" {
			return why
		}
	}
	return ""
}
