// Package demo plays one transfer for somebody who looks at Formidling for the first time (`formidling demo`), and
// writes test PKIs for those who try it with clients of their own (`formidling testpki`).
//
// The demo has all roles: an owner makes a service, a sender sends, two recipients fetch and confirm, a stranger is
// refused. It asks the broker through HTTP alone, as any system would; main gives it a broker to ask (Serve), and no
// server code needs anything that is here.
package demo
