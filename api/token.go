package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/formidling/formidling/api/contract"
	"github.com/formidling/formidling/api/web"
	"github.com/formidling/formidling/identity"
	"github.com/formidling/formidling/models"
)

// maxTokenRequest bounds a request for a token, in bytes: an assertion of 16 KiB fits in its longest form.
const maxTokenRequest = 64 << 10

// IssueToken sells an access token for a signed assertion (RFC 7523).
func (s *Server) IssueToken(c *gin.Context) {
	if s.Tokens == nil {
		web.Problem(c, models.ErrNoSuchRoute)
		return
	}
	request, err := readTokenRequest(c)
	var answer identity.TokenAnswer
	if err == nil {
		answer, err = s.Tokens.Exchange(c.Request.Context(), request)
	}
	var refused *identity.TokenError
	switch {
	case errors.As(err, &refused):
		web.NoteFailure(c, refused.Code, err)
		c.JSON(http.StatusBadRequest, contract.TokenError{Error: refused.Code, ErrorDescription: refused.Description})
	case err != nil:
		web.Problem(c, err)
	default:
		c.JSON(http.StatusOK, contract.TokenAnswer{AccessToken: answer.AccessToken, TokenType: answer.TokenType, ExpiresIn: answer.ExpiresIn, Scope: answer.Scope})
	}
}

// IssueTokenAtMaskinportensPath is IssueToken for clients that know only that path.
func (s *Server) IssueTokenAtMaskinportensPath(c *gin.Context) { s.IssueToken(c) }

// readTokenRequest reads a form in which no parameter may come twice (RFC 6749, 3.2).
func readTokenRequest(c *gin.Context) (identity.TokenRequest, error) {
	var r identity.TokenRequest
	kind, _, err := mime.ParseMediaType(c.GetHeader("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return r, models.ErrMediaType.Because("Send application/x-www-form-urlencoded.")
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Writer, c.Request.Body, maxTokenRequest))
	if err != nil {
		return r, web.BadJSON(err)
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return r, identity.BadTokenRequest("form")
	}
	for name, into := range map[string]*string{"grant_type": &r.GrantType, "assertion": &r.Assertion, "resource": &r.Resource} {
		if len(form[name]) > 1 {
			return r, identity.BadTokenRequest("parameter-twice")
		}
		*into = form.Get(name)
	}
	if c.Request.TLS != nil {
		r.ClientCertificates = c.Request.TLS.PeerCertificates
	}
	return r, nil
}

// ExchangeMaskinportenToken answers with the token that the request carries: whatever is accepted here is
// accepted everywhere, so an exchange has nothing to add.
func (s *Server) ExchangeMaskinportenToken(c *gin.Context) {
	_, token, found := strings.Cut(c.GetHeader("Authorization"), " ")
	if !found { // it came with a certificate alone
		web.Problem(c, models.ErrUnauthenticated)
		return
	}
	c.JSON(http.StatusOK, strings.TrimSpace(token))
}

// GetTokenKeys publishes the keys that verify our tokens (RFC 7517).
func (s *Server) GetTokenKeys(c *gin.Context) {
	if s.Tokens == nil {
		web.Problem(c, models.ErrNoSuchRoute)
		return
	}
	c.JSON(http.StatusOK, s.Tokens.KeySet())
}

// GetTokenMetadata tells clients about the token endpoint (RFC 8414).
func (s *Server) GetTokenMetadata(c *gin.Context) {
	if s.Tokens == nil {
		web.Problem(c, models.ErrNoSuchRoute)
		return
	}
	c.JSON(http.StatusOK, s.Tokens.Metadata())
}
