package identity

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/models"
)

func asked(p models.Party) []any {
	return []any{map[string]any{"type": typeSystemUser, "systemuser_org": consumer(p), "externalRef": "x"}}
}

func TestExchange_LetsASupplierActForWhoDelegatedToIt(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	for name, d := range map[string]draft{
		"certificate":       b.byCertificate().with(map[string]any{"consumer_org": customer.Number()}),
		"key, whole number": b.byKey().with(map[string]any{"consumer_org": string(customer)}),
	} {
		answer, err := b.ask(t, d.sign(t))
		require.NoError(t, err, name)
		_, claims := claimsOf(t, answer.AccessToken)
		require.Equal(t, consumer(customer), claims["consumer"])
		require.Equal(t, consumer(vendor), claims["supplier"])
		require.Equal(t, tokenIssuerName, claims["delegation_source"])
		require.NotContains(t, claims, "authorization_details")
		caller, err := b.verifier.Authenticate(request("Bearer " + answer.AccessToken))
		require.NoError(t, err)
		require.Equal(t, customer, caller.Party)
		require.Equal(t, vendor, caller.Supplier)
		require.False(t, caller.DelegationStated, "the registry is asked again at each request")
		require.Equal(t, b.registry.asked, caller)
	}
}

func TestExchange_LetsAVendorsSystemUserAct(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	answer, err := b.ask(t, b.byKey().with(map[string]any{"authorization_details": asked(customer)}).sign(t))
	require.NoError(t, err)
	_, claims := claimsOf(t, answer.AccessToken)
	require.Equal(t, consumer(vendor), claims["consumer"], "Maskinporten's way: the consumer is the vendor")
	require.NotContains(t, claims, "supplier")
	id := systemUserID(vendor, customer)
	require.Equal(t, []any{map[string]any{
		"type": typeSystemUser, "systemuser_org": consumer(customer), "systemuser_id": []any{id}, "system_id": vendor.Number() + "_formidling",
	}}, claims["authorization_details"])
	require.Equal(t, uuid.Version(5), uuid.MustParse(id).Version())
	require.NotEqual(t, id, systemUserID(customer, vendor))
	caller, err := b.verifier.Authenticate(request("Bearer " + answer.AccessToken))
	require.NoError(t, err)
	require.Equal(t, customer, caller.Party)
	require.Equal(t, vendor, caller.Supplier)
	require.False(t, caller.DelegationStated)
	for _, named := range []any{id, []string{id}} {
		again := []any{map[string]any{"type": typeSystemUser, "systemuser_org": consumer(customer), "systemuser_id": named}}
		_, err = b.ask(t, b.byKey().with(map[string]any{"authorization_details": again}).sign(t))
		require.NoError(t, err)
	}
	own, err := b.caller(t, b.byKey().with(map[string]any{"authorization_details": asked(vendor)}))
	require.NoError(t, err)
	require.Equal(t, vendor, own.Party)
	require.Empty(t, own.Supplier)
}

func TestExchange_BindsADelegatedTokenToItsSupplier(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	caller, err := b.caller(t, b.byKey().with(map[string]any{"consumer_org": string(customer)}), b.leaf)
	require.NoError(t, err, "the certificate is the supplier's, who holds the token")
	require.Equal(t, vendor, caller.Holder())
}

func TestExchange_RefusesDelegationsThatNobodyMade(t *testing.T) {
	t.Parallel()
	b := setupExchange(t)
	one := asked(customer)[0]
	for name, c := range map[string]struct {
		claims map[string]any
		code   string
	}{
		"another organisation":               {map[string]any{"consumer_org": string(org)}, codeInvalidGrant},
		"another organisation's system user": {map[string]any{"authorization_details": asked(org)}, codeInvalidGrant},
		"no organisation":                    {map[string]any{"consumer_org": "x"}, codeInvalidGrant},
		"an empty organisation":              {map[string]any{"consumer_org": ""}, codeInvalidGrant},
		"an organisation of no shape":        {map[string]any{"consumer_org": []string{string(customer)}}, codeInvalidGrant},
		"both ways":                          {map[string]any{"consumer_org": string(customer), "authorization_details": asked(customer)}, codeInvalidGrant},
		"another system user":                {map[string]any{"authorization_details": []any{map[string]any{"type": typeSystemUser, "systemuser_org": consumer(customer), "systemuser_id": uuid.NewString()}}}, codeInvalidGrant},
		"no details":                         {map[string]any{"authorization_details": []any{}}, codeInvalidDetails},
		"two details":                        {map[string]any{"authorization_details": []any{one, one}}, codeInvalidDetails},
		"details of another type":            {map[string]any{"authorization_details": []any{map[string]any{"type": "x"}}}, codeInvalidDetails},
		"a detail of no shape":               {map[string]any{"authorization_details": []any{7}}, codeInvalidDetails},
		"details of no shape":                {map[string]any{"authorization_details": one}, codeInvalidGrant},
		"a detail without an organisation":   {map[string]any{"authorization_details": []any{map[string]any{"type": typeSystemUser}}}, codeInvalidDetails},
		"a detail of another authority":      {map[string]any{"authorization_details": []any{map[string]any{"type": typeSystemUser, "systemuser_org": map[string]any{"authority": "x", "ID": string(customer)}}}}, codeInvalidDetails},
		"the service owner's scope":          {map[string]any{"consumer_org": string(customer), "scope": models.ScopeServiceOwner + " " + models.ScopeRead}, codeInvalidScope},
		"the same by a system user":          {map[string]any{"authorization_details": asked(customer), "scope": models.ScopeServiceOwner}, codeInvalidScope},
	} {
		for kind, d := range map[string]draft{"x5c": b.byCertificate(), "kid": b.byKey()} {
			assertion := d.with(c.claims).sign(t)
			_, err := b.ask(t, assertion)
			b.requireDenied(t, err, c.code, assertion, name+", "+kind)
		}
	}
	delete(b.registry.delegated, customer)
	assertion := b.byKey().with(map[string]any{"consumer_org": string(customer)}).sign(t)
	_, err := b.ask(t, assertion)
	b.requireDenied(t, err, codeInvalidGrant, assertion, "a delegation that was taken back")
}
