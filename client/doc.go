// Package client is the Go SDK of Formidling: whole journeys over its HTTP API, and the API itself.
//
//	broker, err := client.New(client.Options{URL: "https://broker.example", Certificate: &own})
//	sent, err := broker.Send(ctx, client.Transfer{Service: "my-service", Reference: "1", FileName: "a.zip",
//		Recipients: []string{"0192:310000035"}}, client.FromReaderAt(file, size), client.SendOptions{Parts: 4})
//
//	for t, err := range broker.Inbox(ctx, "my-service") { … }
//	got, err := broker.ReceiveFile(ctx, id, client.FileOptions{Directory: "in", Confirm: true})
//	t, err := broker.Watch(ctx, id, client.WatchOptions{Until: client.UntilConfirmed})
//
// Send, Receive and ReceiveFile go on by themselves over connections that break, and check the SHA-256 of every
// byte. What is safe to repeat is repeated while the broker cannot be reached or asks to come back (Retry). A
// refusal is an *Error; errors.Is tells its kind: ErrUnauthorized, ErrNotFound, ErrRefused, ErrUnavailable,
// ErrChecksum, ErrEnded.
//
// Operations without a journey are methods of Broker.API, which is generated from api/openapi.yaml; Decode reads
// their answers:
//
//	grant, err := client.Decode[client.Grant](broker.API.GetGrant(ctx, "my-service", "310000027"))
package client

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../api/openapi.yaml
