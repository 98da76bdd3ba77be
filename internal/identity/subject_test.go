package identity

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"testing"
)

// The names are those that X500Principal.getName of Java 17 returns for certificates made
// by openssl.
func TestSubjectIsWrittenAsByJava(t *testing.T) {
	ca := newAuthority(t, "ca")
	for encoded, want := range map[string]string{
		"30143112301006035504030c09746b2d776f726b6572":                                                           `CN=tk-worker`,
		"3031310b300906035504061302444531163014060355040a0c0d4578616d706c652c20496e632e310a3008060355040b0c0161": `OU=a,O=Example\, Inc.,C=DE`,
		"30243122302006035504030c19206c6561642023616e643c747261696c3e3b20227122205c20":                           `CN=\ lead \#and\<trail\>\; \"q\" \\\ `,
		"307531133011060a0992268993f22c64011916036f726731173015060a0992268993f22c64011916076578616d706c6531123010060a0992268993f22c6401010c027531310e300c06035504030c056772c3bc6e3114301206092a864886f70d01090116056140622e63310b3009060355040513023132": `2.5.4.5=#13023132,1.2.840.113549.1.9.1=#16056140622e63,CN=grün,UID=u1,DC=example,DC=org`,
		"30163114300806035504030c01613008060355040b0c0162": `CN=a+OU=b`,
		"307a3110300e06035504080c0742617661726961310f300d06035504070c064d756e696368310f300d06035504090c064d61696e2031310b3009060355040c0c024472310c300a060355042a0c03416e6e310c300a06035504040c034c6565310e300c06035504110c053830333331310b300906035504030c022331": `CN=\#1,2.5.4.17=#0c053830333331,2.5.4.4=#0c034c6565,2.5.4.42=#0c03416e6e,2.5.4.12=#0c024472,STREET=Main 1,L=Munich,ST=Bavaria`,
	} {
		der, err := hex.DecodeString(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ca.issue(request{subject: der}).Subject(); err != nil || got != want {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
	der, err := asn1.Marshal(pkix.Name{CommonName: "x=y+z"}.ToRDNSequence())
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ca.issue(request{subject: der}).Subject(); err != nil || got != `CN=x\=y\+z` {
		t.Errorf("%s (%v)", got, err)
	}
	if got, err := (Files{CA: ca.file}).Subject(); err != nil || got != "" {
		t.Errorf("without a certificate: %q, %v", got, err)
	}
}
