{{/*
  What goes to forward-auth itself and is not asked about: where to sign in, how clients find that out, and public keys.
*/}}
{{- define "postern.publicPrefixes" -}}
- /_postern/
- /.well-known/oauth-protected-resource/
{{- end }}

{{- define "postern.publicPaths" -}}
- /.well-known/oauth-protected-resource
{{- /* For auth.broker (or auth.originMetadata); 404 where neither is set. */}}
- /.well-known/oauth-authorization-server
- /.well-known/openid-configuration
- /authorize
- /token
- /register
{{- end }}
