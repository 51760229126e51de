// A chat server on the Centrifuge library: who connects is signed in by a JSON Web Token and hears a channel of their own.
//
//	peer HOST:PORT SECRET defaults|tuned
package main

import (
	"context"
	"log"
	"net/http"
	"os"

	"github.com/centrifugal/centrifuge"
	"github.com/golang-jwt/jwt/v5"
)

func main() {
	address, secret, tuned := os.Args[1], []byte(os.Args[2]), os.Args[3] == "tuned"
	node, err := centrifuge.New(centrifuge.Config{LogLevel: centrifuge.LogLevelError})
	if err != nil {
		log.Fatal(err)
	}
	node.OnConnecting(func(_ context.Context, event centrifuge.ConnectEvent) (centrifuge.ConnectReply, error) {
		claims := jwt.RegisteredClaims{}
		known := func(*jwt.Token) (any, error) { return secret, nil }
		_, err := jwt.ParseWithClaims(event.Token, &claims, known, jwt.WithValidMethods([]string{"HS256"}),
			jwt.WithIssuer("auren"), jwt.WithAudience("auren"), jwt.WithExpirationRequired())
		if err != nil || claims.Subject == "" {
			return centrifuge.ConnectReply{}, centrifuge.DisconnectInvalidToken
		}
		reply := centrifuge.ConnectReply{
			Credentials:   &centrifuge.Credentials{UserID: claims.Subject},
			Subscriptions: map[string]centrifuge.SubscribeOptions{"#" + claims.Subject: {}},
		}
		if tuned {
			// Fewer goroutines and an empty queue for whoever is told nothing.
			reply.ReplyWithoutQueue = true
			reply.QueueInitialCap = 1
		}
		return reply, nil
	})
	node.OnConnect(func(*centrifuge.Client) {})
	if err := node.Run(); err != nil {
		log.Fatal(err)
	}
	config := centrifuge.WebsocketConfig{}
	if tuned {
		config.ReadBufferSize = 512
		config.UseWriteBufferPool = true
		config.ProcessCommandsOffReadLoop = true
	}
	http.Handle("/connection/websocket", centrifuge.NewWebsocketHandler(node, config))
	log.Fatal(http.ListenAndServe(address, nil))
}
