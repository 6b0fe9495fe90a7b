// Command dex runs the real Dex with what one test needs: a client, two people, everything in memory.
//
// Usage: dex ADDRESS WEB_DIRECTORY REDIRECT_URI
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
		log.Fatal("usage: dex ADDRESS WEB_DIRECTORY REDIRECT_URI")
	}
	address, web, redirect := os.Args[1], os.Args[2], os.Args[3]
	logger := logrus.New()
	store := memory.New(logger)
	client := storage.Client{ID: "postern", Name: "Postern", Secret: os.Getenv("DEX_CLIENT_SECRET"), RedirectURIs: []string{redirect}}
	if err := store.CreateClient(client); err != nil {
		log.Fatal(err)
	}
	// Kilgore Trout, of the group "authors", whom Dex has for trying it out.
	if err := store.CreateConnector(storage.Connector{ID: "mock", Type: "mockCallback", Name: "Mock", ResourceVersion: "1", Config: []byte("{}")}); err != nil {
		log.Fatal(err)
	}
	dex, err := server.NewServer(context.Background(), server.Config{
		Issuer:             "http://" + address + "/dex",
		Storage:            store,
		SkipApprovalScreen: true,
		Logger:             logger,
		PrometheusRegistry: prometheus.NewRegistry(),
		Web:                server.WebConfig{Dir: web},
	})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(address, dex))
}
