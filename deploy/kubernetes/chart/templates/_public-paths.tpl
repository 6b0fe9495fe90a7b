{{/*
  What goes to forward-auth itself and is not asked about: where to sign in, how clients find that out, and public keys.
*/}}
{{- define "postern.publicPrefixes" -}}
- /_postern/
- /.well-known/oauth-protected-resource/
{{- end }}

{{- define "postern.publicPaths" -}}
- /.well-known/oauth-protected-resource
{{- end }}
