package main

import (
	"log"
	"os"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/sirupsen/logrus"
	"go.yaml.in/yaml/v3"
)

// configuration is the part of Dex's file that deploy/ uses. A key beside it ends the program.
type configuration struct {
	Issuer string `yaml:"issuer"`
	Web    struct {
		HTTP string `yaml:"http"`
	} `yaml:"web"`
	Storage struct {
		Type string `yaml:"type"`
	} `yaml:"storage"`
	OAuth2 struct {
		SkipApprovalScreen bool `yaml:"skipApprovalScreen"`
	} `yaml:"oauth2"`
	StaticClients []struct {
		ID           string   `yaml:"id"`
		Name         string   `yaml:"name"`
		SecretEnv    string   `yaml:"secretEnv"`
		RedirectURIs []string `yaml:"redirectURIs"`
	} `yaml:"staticClients"`
	EnablePasswordDB bool `yaml:"enablePasswordDB"`
	StaticPasswords  []struct {
		Email    string `yaml:"email"`
		Username string `yaml:"username"`
		UserID   string `yaml:"userID"`
		Hash     string `yaml:"hash"`
	} `yaml:"staticPasswords"`
}

func serveFile(path, web string, logger logrus.FieldLogger) {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	var config configuration
	decoder := yaml.NewDecoder(file)
	decoder.KnownFields(true)
	if err := decoder.Decode(&config); err != nil {
		log.Fatal(err)
	}
	if config.Storage.Type != "memory" || !config.EnablePasswordDB {
		log.Fatal("only a store in memory and the password database are known here")
	}
	store := memory.New(logger)
	for _, client := range config.StaticClients {
		known := storage.Client{ID: client.ID, Name: client.Name, Secret: os.Getenv(client.SecretEnv), RedirectURIs: client.RedirectURIs}
		if err := store.CreateClient(known); err != nil {
			log.Fatal(err)
		}
	}
	for _, person := range config.StaticPasswords {
		known := storage.Password{Email: person.Email, Username: person.Username, UserID: person.UserID, Hash: []byte(person.Hash)}
		if err := store.CreatePassword(known); err != nil {
			log.Fatal(err)
		}
	}
	local := storage.Connector{ID: server.LocalConnector, Type: server.LocalConnector, Name: "Email", ResourceVersion: "1"}
	if err := store.CreateConnector(local); err != nil {
		log.Fatal(err)
	}
	serve(config.Web.HTTP, config.Issuer, web, config.OAuth2.SkipApprovalScreen, store, logger)
}
