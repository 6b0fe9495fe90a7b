// Command dex runs the real Dex for the tests, which its own command is no longer published as a Go module for.
//
// Usage: dex ADDRESS WEB_DIRECTORY REDIRECT_URI (a client, and a person whom a click signs in)
//
//	dex serve FILE WEB_DIRECTORY (what the configuration file of Dex's own command says, as far as deploy/ uses it)
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/sirupsen/logrus"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: dex ADDRESS WEB_DIRECTORY REDIRECT_URI, or dex serve FILE WEB_DIRECTORY")
	}
	logger := logrus.New()
	if os.Args[1] == "serve" {
		serveFile(os.Args[2], os.Args[3], logger)
		return
	}
	address, web, redirect := os.Args[1], os.Args[2], os.Args[3]
	store := memory.New(logger)
	client := storage.Client{ID: "postern", Name: "Postern", Secret: os.Getenv("DEX_CLIENT_SECRET"), RedirectURIs: []string{redirect}}
	if err := store.CreateClient(client); err != nil {
		log.Fatal(err)
	}
	// Kilgore Trout, of the group "authors", whom Dex has for trying it out.
	if err := store.CreateConnector(storage.Connector{ID: "mock", Type: "mockCallback", Name: "Mock", ResourceVersion: "1", Config: []byte("{}")}); err != nil {
		log.Fatal(err)
	}
	serve(address, "http://"+address+"/dex", web, true, store, logger)
}

func serve(address, issuer, web string, skipApproval bool, store storage.Storage, logger logrus.FieldLogger) {
	dex, err := server.NewServer(context.Background(), server.Config{
		Issuer:             issuer,
		Storage:            store,
		SkipApprovalScreen: skipApproval,
		Logger:             logger,
		PrometheusRegistry: prometheus.NewRegistry(),
		Web:                server.WebConfig{Dir: web},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(address, dex))
}
