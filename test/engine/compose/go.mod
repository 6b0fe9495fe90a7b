module compose.local

go 1.26.8

require github.com/docker/compose/v2 v2.40.3 // indirect
