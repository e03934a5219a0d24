package eth_test

import (
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/eth"
)

// The examples of EIP-55.
func TestAddressesHaveTheirChecksum(t *testing.T) {
	t.Parallel()
	for _, a := range []string{
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
		"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
		"0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F",
	} {
		got, err := eth.ParseAddress(a)
		if err != nil || string(got) != strings.ToLower(a) || got.Checksummed() != a {
			t.Errorf("%s: %s, %s, %v", a, got, got.Checksummed(), err)
		}
		if _, err := eth.ParseAddress(strings.ToLower(a)); err != nil {
			t.Error(err)
		}
		if _, err := eth.ParseAddress("0x" + strings.ToUpper(a[2:])); err != nil {
			t.Error(err)
		}
	}
	for _, a := range []string{
		"", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0X5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beae",
		"0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaedd", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaeg", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", " 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
	} {
		if got, err := eth.ParseAddress(a); err == nil {
			t.Errorf("%q is taken as %s", a, got)
		}
	}
}

func TestAmountsAreExact(t *testing.T) {
	t.Parallel()
	for text, wei := range map[string]string{
		"0.5 ether": "500000000000000000", "1 wei": "1", "20 gwei": "20000000000", "0.000000000000000001 ether": "1", "0 ether": "0", "1.000 gwei": "1000000000",
		"115792089237316195423570985008687907853269984665640564039457584007913129639935 wei": "115792089237316195423570985008687907853269984665640564039457584007913129639935",
		"123456789.123456789123456789 ether":                                                 "123456789123456789123456789",
	} {
		want, _ := new(big.Int).SetString(wei, 10)
		got, err := eth.ParseAmount(text)
		if err != nil || got.Cmp(eth.Wei(want)) != 0 {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "1", "ether", "1ether", "1  ether", "1 Ether", "1 eth", "-1 wei", "+1 wei", "1e3 wei", "1.5 wei", ".5 ether", "1. ether", "0.0000000000000000001 ether",
		"01 ether", "1_000 wei", "1 ether ", " 1 ether", "0x1 wei", "1.+5 ether", "1.-5 ether",
		"115792089237316195423570985008687907853269984665640564039457584007913129639936 wei", "1" + strings.Repeat("0", 100) + " ether",
	} {
		if got, err := eth.ParseAmount(text); err == nil {
			t.Errorf("%q is taken as %v", text, got)
		}
	}
	for wei, text := range map[int64]string{0: "0 ether", 1: "1 wei", 99_999: "99999 wei", 1_000_000: "0.001 gwei", 999_999_999_999: "999.999999999 gwei", 100_000_000_000_000: "0.0001 ether", 20_000_000_000: "20 gwei", 1_500_000_000_000_000_000: "1.5 ether"} {
		if got := eth.Wei(big.NewInt(wei)).String(); got != text {
			t.Errorf("%d: %s, want %s", wei, got, text)
		}
	}
}

// An amount that is shown is the amount that is meant.
func TestAmountsAreShownExactly(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		n := new(big.Int).SetUint64(r.Uint64())
		n.Mul(n, new(big.Int).SetUint64(r.Uint64N(1<<40))).Rsh(n, uint(r.IntN(104)))
		a := eth.Wei(n)
		if again, err := eth.ParseAmount(a.String()); err != nil || again.Cmp(a) != 0 {
			t.Fatalf("%v is shown as %s: %v", n, a, err)
		}
	}
}

func TestQuantitiesAreStrict(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "0x", "0", "1", "0x00", "0x01", "0X1", "0xg", "-0x1", "0x-1", "0x 1", "0x1" + strings.Repeat("0", 64)} {
		if n, err := eth.ParseQuantity(text); err == nil {
			t.Errorf("%q is taken as %v", text, n)
		}
	}
	if n, err := eth.ParseQuantity("0xfF"); err != nil || n.Int64() != 255 {
		t.Errorf("%v, %v", n, err)
	}
	for _, text := range []string{"", "0x", "01", "-1", "+1", "1.0", "1e3", "0X1", "x", "0x1" + strings.Repeat("0", 64), strings.Repeat("9", 79)} {
		if n, err := eth.ParseNumber(text); err == nil {
			t.Errorf("%q is taken as %v", text, n)
		}
	}
	for text, want := range map[string]int64{"0": 0, "1337": 1337, "0x539": 1337, "0x00539": 1337} {
		if n, err := eth.ParseNumber(text); err != nil || n.Int64() != want {
			t.Errorf("%s: %v, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "00", "0x0", "0xgg", "0X00", "0x0 0"} {
		if b, err := eth.ParseData(text); err == nil {
			t.Errorf("%q is taken as %x", text, b)
		}
	}
}

func FuzzAmount(f *testing.F) {
	for _, s := range []string{"0.5 ether", "20 gwei", "1 wei", "1.000000000000000001 ether"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := eth.ParseAmount(text)
		if err != nil {
			return
		}
		if again, err := eth.ParseAmount(a.String()); err != nil || again.Cmp(a) != 0 {
			t.Fatalf("%q is %v, %v", text, a, err)
		}
	})
}

// What tokens take for "all there is", and what is plainly less.
func TestAmountsThatBoundNothing(t *testing.T) {
	t.Parallel()
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	less := func(n uint) *big.Int { return power(n).Sub(power(n), big.NewInt(1)) }
	for _, bits := range []uint{8, 64, 96, 128, 160, 255, 256} {
		if !eth.Boundless(less(bits), int(bits)) || eth.Boundless(power(bits-1), int(bits)) && bits <= 96 || eth.Boundless(new(big.Int), int(bits)) {
			t.Errorf("%d bits", bits)
		}
	}
	if !eth.Boundless(less(96), 256) || eth.Boundless(less(95), 256) || eth.Boundless(big.NewInt(-1), 256) {
		t.Error("of a token with 96 bits")
	}
	for n, want := range map[*big.Int]string{
		less(256): "2^256-1", power(255): "2^255", less(33): "2^33-1", less(32): "", big.NewInt(0): "", big.NewInt(-1): "", new(big.Int).Sub(less(96), big.NewInt(1)): "",
		new(big.Int).Add(power(96), big.NewInt(1)): "",
	} {
		if got := eth.PowerName(n); got != want {
			t.Errorf("%v is %q, want %q", n, got, want)
		}
	}
}
