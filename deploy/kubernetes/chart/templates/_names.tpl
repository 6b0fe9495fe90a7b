{{- define "postern.labels" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
{{- end }}

{{- define "postern.selector" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Refuses what the API server would refuse after a part of the objects is made, and no schema can compare. */}}
{{- define "postern.checkValues" -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]{0,39}[a-z0-9])?$" .Release.Name) }}
{{- fail (printf "release name %q: Services are named after it, so use a letter, then at most 40 more of a-z, 0-9 and -" .Release.Name) }}
{{- end }}
{{- range $key, $values := dict "forwardAuth" .Values.forwardAuth "relay" .Values.relay }}
{{- if lt (int $values.autoscaling.maxReplicas) (int $values.autoscaling.minReplicas) }}
{{- fail (printf "%s.autoscaling.maxReplicas must be at least minReplicas" $key) }}
{{- end }}
{{- end }}
{{- $policies := dict }}
{{- range .Values.networkPolicy.mcpServers }}
{{- $policy := printf "%s/%s" .namespace .name }}
{{- if hasKey $policies $policy }}
{{- fail (printf "networkPolicy.mcpServers: two have the name %q in namespace %q: one policy would replace the other" .name .namespace) }}
{{- end }}
{{- $_ := set $policies $policy true }}
{{- end }}
{{- end }}

{{- define "postern.name" -}}
{{ .root.Release.Name }}-{{ .component }}
{{- end }}

{{- define "postern.forwardAuthUrl" -}}
http://{{ .Release.Name }}-forward-auth.{{ .Release.Namespace }}.svc.cluster.local:4180
{{- end }}

{{/* postern.yaml: what the values say, and over it where the processes listen in their pods. */}}
{{- define "postern.config" -}}
{{- $auth := dict "listen" "0.0.0.0:4180" "internalListen" "0.0.0.0:9464" }}
{{- if .Values.forwardAuth.grpc }}{{- $_ := set $auth "grpc" "0.0.0.0:4181" }}{{- end }}
{{- $relay := dict "listen" "0.0.0.0:4444" "internalListen" "0.0.0.0:9465" }}
{{- if .Values.assertion }}
{{- $jwks := dict "jwksUrl" (printf "%s/_postern/jwks.json" (include "postern.forwardAuthUrl" .)) }}
{{- $_ := set $relay "trust" (dict "assertion" $jwks) }}
{{- end }}
{{- mustMergeOverwrite (deepCopy .Values.config) (dict "auth" $auth "relay" $relay) | toYaml }}
{{- end }}

{{/* One process: arguments {root, component, command, values, ports, internalPort}. */}}
{{- define "postern.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "postern.name" . }}
  labels: {{- include "postern.labels" . | nindent 4 }}
spec:
  {{- if not .values.autoscaling.enabled }}
  replicas: {{ .values.replicas }}
  {{- end }}
  selector:
    matchLabels: {{- include "postern.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "postern.labels" . | nindent 8 }}
      annotations:
        # Listening addresses and keys need a restart; rules, servers and limits are read again by themselves.
        checksum/addresses: {{ printf "%v %v %v" .root.Values.forwardAuth.grpc .root.Values.assertion .root.Values.secrets | sha256sum }}
        {{- with .root.Values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "postern.name" . }}
      # SECURITY: neither process talks to the cluster.
      automountServiceAccountToken: false
      # `drain` (7 s unless set) and what the last audit lines take. After SIGTERM requests are taken for `drain.delay` more, while
      # /readyz is 503 and the Service forgets the pod, so that no preStop hook has to wait.
      terminationGracePeriodSeconds: {{ .root.Values.terminationGracePeriodSeconds }}
      {{- if eq .component "relay" }}
      # Programs that it starts for MCP servers leave children behind, which the pod's first process reaps.
      shareProcessNamespace: true
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 1000
        runAsGroup: 1000
        fsGroup: 1000
        seccompProfile: { type: RuntimeDefault }
      topologySpreadConstraints:
        {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
        - maxSkew: 1
          topologyKey: {{ . }}
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels: {{- include "postern.selector" $ | nindent 14 }}
        {{- end }}
      containers:
        - name: {{ .component }}
          image: "{{ .root.Values.image.repository }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}"
          imagePullPolicy: {{ .root.Values.image.pullPolicy }}
          args: [{{ .command }}, --config, /etc/postern/postern.yaml]
          {{- $programs := dig "programs" "enabled" false .values }}
          {{- if or $programs .root.Values.secrets.files }}
          env:
            {{- range $setting, $key := .root.Values.secrets.files }}
            - name: {{ $setting }}_FILE
              value: /etc/postern-secrets/{{ $key }}
            {{- end }}
            {{- if $programs }}
            - { name: HOME, value: /tmp }
            {{- end }}
          {{- end }}
          ports:
            {{- range $name, $port := .ports }}
            - { name: {{ $name }}, containerPort: {{ $port }} }
            {{- end }}
            - { name: internal, containerPort: {{ .internalPort }} }
          # Who is only slow, on a busy node, is not ended: that would make it start again, which is more work.
          startupProbe:
            httpGet: { path: /healthz, port: internal }
            periodSeconds: 1
            failureThreshold: 120
          livenessProbe:
            httpGet: { path: /healthz, port: internal }
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            # Whether it can serve something: Redis away is no reason to take all pods away. /readyz?strict says more.
            # It is asked often enough to be found out within `drain.delay`.
            httpGet: { path: /readyz, port: internal }
            periodSeconds: 1
            timeoutSeconds: 3
            failureThreshold: 2
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: { drop: [ALL] }
          resources: {{- toYaml .values.resources | nindent 12 }}
          volumeMounts:
            - { name: configuration, mountPath: /etc/postern, readOnly: true }
            {{- if .root.Values.secrets.existingSecret }}
            - { name: secrets, mountPath: /etc/postern-secrets, readOnly: true }
            {{- end }}
            {{- if $programs }}
            - { name: programs, mountPath: /tmp }
            {{- end }}
      volumes:
        - name: configuration
          configMap: { name: {{ .root.Release.Name }} }
        {{- if .root.Values.secrets.existingSecret }}
        - name: secrets
          secret: { secretName: {{ .root.Values.secrets.existingSecret }}, defaultMode: 0440 }
        {{- end }}
        {{- if $programs }}
        - name: programs
          emptyDir: { sizeLimit: {{ .values.programs.sizeLimit }} }
        {{- end }}
      {{- with .root.Values.nodeSelector }}
      nodeSelector: {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with .root.Values.tolerations }}
      tolerations: {{- toYaml . | nindent 8 }}
      {{- end }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "postern.name" . }}
  labels: {{- include "postern.labels" . | nindent 4 }}
spec:
  selector: {{- include "postern.selector" . | nindent 4 }}
  ports:
    {{- range $name, $port := .ports }}
    - { name: {{ $name }}, port: {{ $port }}, targetPort: {{ $name }}, appProtocol: {{ if eq $name "grpc" }}kubernetes.io/h2c{{ else }}http{{ end }} }
    {{- end }}
---
# Metrics and health, apart from what a proxy can reach.
apiVersion: v1
kind: Service
metadata:
  name: {{ include "postern.name" . }}-internal
  labels:
    {{- include "postern.labels" . | nindent 4 }}
    postern/internal: "true"
spec:
  clusterIP: None
  selector: {{- include "postern.selector" . | nindent 4 }}
  ports:
    - { name: internal, port: {{ .internalPort }}, targetPort: internal }
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ include "postern.name" . }}
  labels: {{- include "postern.labels" . | nindent 4 }}
automountServiceAccountToken: false
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "postern.name" . }}
  labels: {{- include "postern.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "postern.selector" . | nindent 6 }}
{{- end }}
