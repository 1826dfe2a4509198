// Command check reads Kubernetes manifests from standard input and decodes each one strictly into the type of its
// kind: an unknown field, a field twice, or a value of the wrong type is an error. It stands in for kubeconform,
// whose schemas must be downloaded. Kinds that Kubernetes does not have itself are passed over.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	strict "sigs.k8s.io/yaml"
)

var kinds = map[string]func() any{
	"v1/ConfigMap":                            func() any { return new(core.ConfigMap) },
	"v1/Service":                              func() any { return new(core.Service) },
	"v1/ServiceAccount":                       func() any { return new(core.ServiceAccount) },
	"apps/v1/Deployment":                      func() any { return new(apps.Deployment) },
	"apps/v1/StatefulSet":                     func() any { return new(apps.StatefulSet) },
	"networking.k8s.io/v1/Ingress":            func() any { return new(networking.Ingress) },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return new(networking.NetworkPolicy) },
	"policy/v1/PodDisruptionBudget":           func() any { return new(policy.PodDisruptionBudget) },
	"monitoring.coreos.com/v1/ServiceMonitor": nil, "monitoring.coreos.com/v1/PrometheusRule": nil,
	"gateway.networking.k8s.io/v1/HTTPRoute": nil,
}

func main() {
	if err := check(os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(in io.Reader) error {
	var faults []error
	documents := yaml.NewYAMLReader(bufio.NewReader(in))
	for {
		doc, err := documents.Read()
		if err == io.EOF {
			return errors.Join(faults...)
		}
		if err != nil {
			return err
		}
		var head struct{ APIVersion, Kind string }
		if err := strict.Unmarshal(doc, &head); err != nil {
			return err
		}
		if head.Kind == "" {
			continue
		}
		name := head.APIVersion + "/" + head.Kind
		object, known := kinds[name]
		switch {
		case !known:
			faults = append(faults, fmt.Errorf("unknown kind %s", name))
		case object != nil:
			if err := strict.UnmarshalStrict(doc, object()); err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
}
