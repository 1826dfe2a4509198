{{- define "smspager.fullname" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 52 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 52 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "smspager.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "smspager.labels" -}}
{{ include "smspager.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "smspager.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ default (include "smspager.fullname" .) .Values.serviceAccount.name }}{{ else }}{{ default "default" .Values.serviceAccount.name }}{{ end }}
{{- end }}

{{- define "smspager.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}{{ else }}{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}{{ end }}
{{- end }}

{{/* smspager.yml: the values' config, and the storage that the chart mounts. */}}
{{- define "smspager.config" -}}
{{- $storage := dict "retention" .Values.storage.retention }}
{{- if eq .Values.storage.type "postgres" }}
{{- $_ := set $storage "postgres_url_file" (printf "secrets/%s" .Values.storage.postgres.urlKey) }}
{{- else }}
{{- $_ := set $storage "sqlite" "/data/smspager.db" }}
{{- end }}
{{- if .Values.config.storage }}{{ fail "config.storage: set storage.type, storage.sqlite and storage.postgres instead" }}{{ end }}
{{- toYaml (merge (dict "storage" $storage) .Values.config) }}
{{- end }}

{{- define "smspager.pod" -}}
metadata:
  annotations:
    {{- /* smspager reloads nothing by itself: a new configuration makes new pods. */}}
    checksum/config: {{ include "smspager.config" . | sha256sum }}
    {{- with .Values.podAnnotations }}{{ toYaml . | nindent 4 }}{{ end }}
  labels:
    {{- include "smspager.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
spec:
  serviceAccountName: {{ include "smspager.serviceAccount" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: 40
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets: {{ toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: {type: RuntimeDefault}
  containers:
    - name: smspager
      image: {{ include "smspager.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args:
        - serve
        - --config.file=/etc/smspager/smspager.yml
        - --web.listen-address=:9879
        {{- if .Values.webConfigKey }}
        - --web.config.file=/etc/smspager/secrets/{{ .Values.webConfigKey }}
        {{- end }}
        {{- if .Values.public.enabled }}
        - --public.listen-address=:9881
        {{- end }}
        {{- range .Values.extraArgs }}
        - {{ . | quote }}
        {{- end }}
      ports:
        - {name: http, containerPort: 9879, protocol: TCP}
        {{- if .Values.public.enabled }}
        - {name: public, containerPort: 9881, protocol: TCP}
        {{- end }}
      {{- /* Both paths need no login, whatever is configured. A pod that lost its store still pages: liveness does not ask for it. */}}
      startupProbe:
        httpGet: {path: /-/healthy, port: http, scheme: {{ ternary "HTTPS" "HTTP" .Values.webTLS }}}
        periodSeconds: 2
        failureThreshold: 60
      livenessProbe:
        httpGet: {path: /-/healthy, port: http, scheme: {{ ternary "HTTPS" "HTTP" .Values.webTLS }}}
        periodSeconds: 10
        failureThreshold: 6
        timeoutSeconds: 5
      readinessProbe:
        httpGet: {path: /-/ready, port: http, scheme: {{ ternary "HTTPS" "HTTP" .Values.webTLS }}}
        periodSeconds: 5
        timeoutSeconds: 5
      resources: {{ toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: {drop: [ALL]}
      volumeMounts:
        - {name: config, mountPath: /etc/smspager/smspager.yml, subPath: smspager.yml, readOnly: true}
        - {name: secrets, mountPath: /etc/smspager/secrets, readOnly: true}
        - {name: data, mountPath: /data}
  volumes:
    - name: config
      configMap: {name: {{ include "smspager.fullname" . }}}
    - name: secrets
      secret:
        secretName: {{ required "existingSecret: name a secret with the files that config names" .Values.existingSecret }}
        defaultMode: 0440
    {{- if eq .Values.storage.type "postgres" }}
    - name: data
      emptyDir: {}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations: {{ toYaml . | nindent 4 }}
  {{- end }}
  {{- if .Values.affinity }}
  affinity: {{ toYaml .Values.affinity | nindent 4 }}
  {{- else if eq .Values.storage.type "postgres" }}
  affinity:
    podAntiAffinity:
      preferredDuringSchedulingIgnoredDuringExecution:
        - weight: 100
          podAffinityTerm:
            topologyKey: kubernetes.io/hostname
            labelSelector:
              matchLabels: {{ include "smspager.selector" . | nindent 16 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
