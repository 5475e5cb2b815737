package identity

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/formidling/formidling/identity/testpki"
	"github.com/formidling/formidling/models"
)

// subject is a certificate whose subject has these attributes.
func subject(attributes ...pkix.AttributeTypeAndValue) *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{Names: attributes}}
}

func TestOrganisation_IsReadByOIDOnly(t *testing.T) {
	t.Parallel()
	identifier := func(v any) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: oidOrganizationIdentifier, Value: v}
	}
	serial := func(v any) pkix.AttributeTypeAndValue {
		return pkix.AttributeTypeAndValue{Type: oidSerialNumber, Value: v}
	}
	for name, tc := range map[string]struct {
		c    *x509.Certificate
		want models.Party // in SEID v1 too, unless empty
		v1   models.Party
	}{
		"a number":                     {subject(identifier("NTRNO-310000019")), "0192:310000019", "0192:310000019"},
		"a serial number":              {subject(serial("310000019")), "", "0192:310000019"},
		"both agree":                   {subject(identifier("NTRNO-310000019"), serial("NTRNO-310000019")), "0192:310000019", "0192:310000019"},
		"both disagree":                {subject(identifier("NTRNO-310000019"), serial("310000027")), "", ""},
		"both disagree, wrong check":   {subject(identifier("NTRNO-310000019"), serial("310000018")), "", ""},
		"small letters":                {subject(identifier("ntrno-310000019")), "", ""},
		"no prefix":                    {subject(identifier("310000019")), "", ""},
		"a prefix twice":               {subject(identifier("NTRNO-NTRNO-310000019")), "", ""},
		"a space":                      {subject(identifier("NTRNO-310000019 ")), "", ""},
		"other digits":                 {subject(identifier("NTRNO-٣١٠٠٠٠٠١٩")), "", ""},
		"a wrong identifier hides v1":  {subject(identifier("NTRSE-5560360793"), serial("310000019")), "", ""},
		"the prefix in v1":             {subject(serial("NTRNO-310000019")), "", ""},
		"no text":                      {subject(identifier(310000019)), "", ""},
		"no text in the serial number": {subject(identifier("NTRNO-310000019"), serial(310000019)), "", ""},
		"text in a name": {subject(
			pkix.AttributeTypeAndValue{Type: []int{2, 5, 4, 3}, Value: "X, OID.2.5.4.97=NTRNO-310000019, serialNumber=310000019"},
		), "", ""},
		"nothing": {subject(), "", ""},
	} {
		for seid1, want := range map[bool]models.Party{false: tc.want, true: tc.v1} {
			party, err := organisation(tc.c, seid1)
			require.Equal(t, want, party, "%s, SEID v1 %t", name, seid1)
			require.Equal(t, want == "", err != nil, name)
			if err != nil {
				require.ErrorIs(t, err, models.ErrUnauthenticated)
			}
		}
	}
}

func TestPolicies_AreComparedArcByArc(t *testing.T) {
	t.Parallel()
	require.True(t, under("2.16.578.1.29.13.210.1.1", "2.16.578.1.29.13.210.1"))
	require.True(t, under("2.16.578.1.26.1.3.2", "2.16.578.1.26.1.3.2"))
	require.False(t, under("2.16.578.1.26.1.3.20", "2.16.578.1.26.1.3.2"))
	require.False(t, under("2.16.578.1.26.1.3", "2.16.578.1.26.1.3.2"))
}

// FuzzOrganisation: whatever a subject says, it names a valid Norwegian number that stands in it, or nobody.
func FuzzOrganisation(f *testing.F) {
	f.Add("NTRNO-310000019", "310000019", "", true)
	f.Add("NTRSE-5560360793", "UN:NO-9578-4050-100000011", "NTRNO-310000027", false)
	f.Fuzz(func(t *testing.T, identifier, serial, second string, seid1 bool) {
		attributes := []pkix.AttributeTypeAndValue{}
		for i, v := range []string{identifier, serial, second} {
			if v != "" {
				oid := oidOrganizationIdentifier
				if i == 1 {
					oid = oidSerialNumber
				}
				attributes = append(attributes, pkix.AttributeTypeAndValue{Type: oid, Value: v})
			}
		}
		party, err := organisation(subject(attributes...), seid1)
		if err != nil {
			require.ErrorIs(t, err, models.ErrUnauthenticated)
			require.Empty(t, party)
			return
		}
		number := party.Number()
		require.True(t, models.ValidNorwegianNumber(number))
		require.Equal(t, models.Norwegian(number), party)
		require.False(t, identifier != "" && second != "", "it is ambiguous")
		require.True(t, identifier+second == "NTRNO-"+number || identifier+second == "" && seid1 && serial == number)
	})
}

// FuzzVerify: no bytes that parse as a certificate make the check panic, or pass unless the CA signed what it says.
func FuzzVerify(f *testing.F) {
	b := trustAll(f, TrustOptions{SEID1: true})
	genuine := map[string]bool{}
	for _, c := range b.pki.Cases() {
		f.Add(c.Certificate.Certificate[0])
		if c.Accepted {
			genuine[string(c.Certificate.Leaf.RawTBSCertificate)] = true
		}
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		_, err = b.Verify([]*x509.Certificate{c})
		require.Equal(t, genuine[string(c.RawTBSCertificate)], err == nil)
	})
}

func BenchmarkVerify(b *testing.B) {
	trust := trustAll(b, TrustOptions{SEID1: true})
	for _, name := range []string{"seid2-p256", "seid2-rsa"} {
		chain := chainOf(b, trust.pki.Case(name).Certificate)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := trust.Verify(chain); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRecheck(b *testing.B) {
	trust := trustAll(b, TrustOptions{})
	chain := chainOf(b, trust.pki.Case("seid2-p256").Certificate)
	for b.Loop() {
		if _, err := trust.Recheck(chain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadRevocations(b *testing.B) {
	pki, err := testpki.New(newTestClock().now())
	require.NoError(b, err)
	for b.Loop() {
		if _, err := readRevocations(pki.CRL(), pki.Issuing().Leaf); err != nil {
			b.Fatal(err)
		}
	}
}
