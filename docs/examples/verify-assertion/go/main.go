// A backend that believes X-Authenticated-Assertion and nothing else:
//
//	JWKS_URL=… ISSUER=… AUDIENCE=… PUBLIC_HOST=… PORT=… go run .
package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

type claims struct {
	jwt.RegisteredClaims
	Groups []string `json:"groups"`
	Method string   `json:"htm"`
	Host   string   `json:"hth"`
	Path   string   `json:"htp"`
}

// errKeysUnavailable is no fault of the caller.
var errKeysUnavailable = errors.New("the keys could not be had")

// keySet keeps the keys for ten minutes. An unknown kid asks again, but not more often than every 30 seconds.
type keySet struct {
	url    string
	client http.Client
	mutex  sync.Mutex
	keys   map[string]any
	asked  time.Time
}

func (set *keySet) find(token *jwt.Token) (any, error) {
	if token.Header["typ"] != "postern-identity+jwt" {
		return nil, errors.New("another kind of token")
	}
	kid, _ := token.Header["kid"].(string)
	set.mutex.Lock()
	defer set.mutex.Unlock()
	key, known := set.keys[kid]
	age := time.Since(set.asked)
	if age > 10*time.Minute || (!known && age > 30*time.Second) {
		if err := set.fetch(); err != nil && !known {
			return nil, errKeysUnavailable
		}
		key, known = set.keys[kid]
	}
	if !known {
		return nil, errors.New("unknown key")
	}
	return key, nil
}

func (set *keySet) fetch() error {
	answer, err := set.client.Get(set.url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	var document struct {
		Keys []struct{ Kid, Kty, Crv, X, Y string }
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, answer.Body, 1<<20)).Decode(&document); err != nil {
		return err
	}
	keys := map[string]any{}
	for _, jwk := range document.Keys {
		x, errX := base64.RawURLEncoding.DecodeString(jwk.X)
		y, errY := base64.RawURLEncoding.DecodeString(jwk.Y)
		switch {
		case errX != nil || errY != nil:
		case jwk.Kty == "EC" && jwk.Crv == "P-256":
			keys[jwk.Kid] = &ecdsa.PublicKey{Curve: elliptic.P256(), X: new(big.Int).SetBytes(x), Y: new(big.Int).SetBytes(y)}
		case jwk.Kty == "OKP" && jwk.Crv == "Ed25519" && len(x) == ed25519.PublicKeySize:
			keys[jwk.Kid] = ed25519.PublicKey(x)
		}
	}
	set.keys, set.asked = keys, time.Now()
	return nil
}

func main() {
	keys := &keySet{url: os.Getenv("JWKS_URL"), client: http.Client{Timeout: 5 * time.Second}}
	publicHost := os.Getenv("PUBLIC_HOST")
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{"ES256", "EdDSA"}),
		jwt.WithIssuer(os.Getenv("ISSUER")),
		jwt.WithAudience(os.Getenv("AUDIENCE")),
		jwt.WithExpirationRequired(),
		jwt.WithLeeway(5*time.Second),
	)
	// No ServeMux: it would clean the path, and the assertion was made for the path as it was written.
	handler := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		// One and only one: a second could be read by another program in place of the first.
		given := request.Header.Values("X-Authenticated-Assertion")
		if len(given) != 1 {
			http.Error(response, "one assertion is needed", http.StatusUnauthorized)
			return
		}
		var who claims
		_, err := parser.ParseWithClaims(given[0], &who, keys.find)
		path, _, _ := strings.Cut(request.RequestURI, "?")
		switch {
		case errors.Is(err, errKeysUnavailable):
			http.Error(response, "try again shortly", http.StatusServiceUnavailable)
		// `amr: anonymous` comes with an empty subject: no user has signed in.
		case err != nil, who.Subject == "", who.IssuedAt == nil,
			who.Method != request.Method, who.Host != publicHost, who.Path != path:
			http.Error(response, "the assertion is not valid", http.StatusUnauthorized)
		default:
			groups, _ := json.Marshal(who.Groups)
			fmt.Fprintf(response, "hello %s of %s\n", who.Subject, groups)
		}
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), handler))
}
