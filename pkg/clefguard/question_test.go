package clefguard_test

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/splitvault/splitvault/pkg/consent"
)

const (
	thief  = "0x3333333333333333333333333333333333333333"
	domain = "EIP712Domain(string name,address verifyingContract)"
)

// typed is a request to sign a message whose types are written as EIP-712 hashes
// them: the primary type first.
func typed(types, message string) string {
	var all []string
	primary := ""
	for _, m := range regexp.MustCompile(`(\w+)\(([^)]*)\)`).FindAllStringSubmatch(types+domain, -1) {
		var members []string
		for member := range strings.SplitSeq(m[2], ",") {
			kind, name, _ := strings.Cut(member, " ")
			members = append(members, fmt.Sprintf(`{"name":%q,"type":%q}`, name, kind))
		}
		all = append(all, fmt.Sprintf(`%q:[%s]`, m[1], strings.Join(members, ",")))
		if primary == "" {
			primary = m[1]
		}
	}
	return req("account_signTypedData", fmt.Sprintf(`[%q,{"types":{%s},"primaryType":%q,"domain":{"name":"Token","verifyingContract":%q},"message":%s}]`,
		accountA, strings.Join(all, ","), primary, to, message))
}

// shown is what a person is shown of a request, line by line.
func shown(t *testing.T, body string) []string {
	t.Helper()
	w, p := vault(t, askAll), &person{}
	w.Person = p
	if got := w.ask(t, "", `split-clef/1 {"origin":"https://app.example.org"}`+"\n"+body); len(p.asked) != 1 {
		t.Fatalf("asked %d times: %s", len(p.asked), got)
	}
	r := p.asked[0]
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	var lines []string
	rows := 0
	for _, l := range r.Lines {
		lines = append(lines, strings.TrimPrefix(l.Label+": "+l.Text, ": "))
		rows += strings.Count(consent.Wrap(lines[len(lines)-1]), "\n") + 1
	}
	if rows > consent.MaxRows+1 {
		t.Errorf("%d rows, more than a screen has", rows)
	}
	return lines
}

func has(t *testing.T, name string, lines []string, want ...string) {
	t.Helper()
	text := strings.Join(lines, "\n")
	for _, w := range want {
		if !strings.Contains("\n"+text+"\n", w) {
			t.Errorf("%s: no %q in\n%s", name, w, text)
		}
	}
}

func number(power uint, less string) string {
	n, ok := new(big.Int).SetString(less, 10)
	if !ok {
		panic(less)
	}
	return n.Sub(new(big.Int).Lsh(big.NewInt(1), power), n).String()
}

// What tokens take for "all" is the most that their type holds; a little less is as
// good. All of it is called what it is, with the number.
func TestAttackAnApprovalOfNearlyAllIsCalledUnlimited(t *testing.T) {
	t.Parallel()
	word := strings.Repeat("0", 24) + to[2:]
	for amount, row := range map[string]struct {
		unlimited bool
		says      string
	}{
		number(256, "1"): {true, "(2^256-1)"}, number(255, "0"): {true, "(2^255)"}, number(160, "1"): {true, "(2^160-1)"},
		number(128, "1"): {true, "(2^128-1)"}, number(96, "1"): {true, "(2^96-1)"}, number(112, "1"): {true, ""},
		number(96, "1000000000000000000000000000"): {true, ""}, number(256, "12345"): {true, ""}, number(97, "12345"): {true, ""},
		"1000000000000000000000000": {false, "(smallest units)"}, "0": {false, "0 (smallest units)"}, number(80, "1"): {false, "(2^80-1)"},
	} {
		n, _ := new(big.Int).SetString(amount, 10)
		for selector, name := range map[string]string{"095ea7b3": "approve", "39509351": "increaseAllowance"} {
			lines := shown(t, req("account_signTransaction", transaction(fmt.Sprintf(`,"data":"0x%s%s%064x"`, selector, word, n))))
			has(t, amount, lines, row.says, amount)
			deed, call := "let another take ALL of a token", "\nCall: "+name+", UNLIMITED\n"
			if text := strings.Join(lines, "\n"); strings.Contains(text, deed) != row.unlimited || strings.Contains(text, call) != row.unlimited ||
				strings.Contains(text, "UNLIMITED: "+amount) != row.unlimited {
				t.Errorf("%s of %s:\n%s", name, amount, text)
			}
		}
	}
}

const (
	permit2612   = "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
	permitDAI    = "Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)"
	permitNFT    = "Permit(address spender,uint256 tokenId,uint256 nonce,uint256 deadline)"
	details      = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	permitSingle = "PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + details
	permitBatch  = "PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + details
	permissions  = "TokenPermissions(address token,uint256 amount)"
	permitFrom   = "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)" + permissions
	permitMany   = "PermitBatchTransferFrom(TokenPermissions[] permitted,address spender,uint256 nonce,uint256 deadline)" + permissions
	permitOrder  = "PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Order witness)Order(address token,uint256 amount,string note)" + permissions
)

// A permit is an approval that costs its signer nothing and that no block explorer
// shows before it is used.
func TestAttackAPermitIsShownAsTheApprovalItIs(t *testing.T) {
	t.Parallel()
	all, some := number(256, "1"), "1000"
	for name, row := range map[string]struct {
		types, message string
		want           []string
	}{
		"EIP-2612": {permit2612, `{"owner":"` + accountA + `","spender":"` + thief + `","value":"` + all + `","nonce":"0","deadline":"1800000000"}`, []string{
			"let another take ALL of a token (Permit)?", "\nSpender: " + thief + "\n", "\nMay be taken: UNLIMITED: " + all + " (2^256-1) of the contract's token\n", "\nCan be used: until 2027-01-15 08:00 UTC\n", "\nContract: " + to,
		}},
		"in hexadecimal": {permit2612, `{"owner":"` + accountA + `","spender":"` + thief + `","value":"0x` + strings.Repeat("f", 64) + `","nonce":0,"deadline":"` + all + `"}`, []string{
			"let another take ALL of a token (Permit)?", "UNLIMITED: " + all, "Can be used: WITHOUT AN END",
		}},
		"UNI, 96 bits": {permit2612, `{"owner":"` + accountA + `","spender":"` + thief + `","value":"` + number(96, "1") + `","nonce":"0","deadline":"1"}`, []string{"ALL of a token", "UNLIMITED: 79228162514264337593543950335 (2^96-1)"}},
		"some":         {permit2612, `{"owner":"` + accountA + `","spender":"` + thief + `","value":"` + some + `","nonce":"0","deadline":"1"}`, []string{"let another take tokens (Permit)?", "May be taken: 1000 (smallest units) of the contract's token"}},
		"DAI":          {permitDAI, `{"holder":"` + accountA + `","spender":"` + thief + `","nonce":"0","expiry":"0","allowed":true}`, []string{"let another take ALL of a token (Permit)?", "May be taken: UNLIMITED of the contract's token"}},
		"DAI, back":    {permitDAI, `{"holder":"` + accountA + `","spender":"` + thief + `","nonce":"0","expiry":"0","allowed":false}`, []string{"let another take tokens (Permit)?", "May be taken: 0 (smallest units)"}},
		"one NFT":      {permitNFT, `{"spender":"` + thief + `","tokenId":"77","nonce":"0","deadline":"1"}`, []string{"let another take tokens (Permit)?", "May be taken: no. 77 of the contract's token"}},
		"Permit2": {permitSingle, `{"details":{"token":"` + accountB + `","amount":"` + number(160, "1") + `","expiration":"281474976710655","nonce":"0"},"spender":"` + thief + `","sigDeadline":"1800000000"}`, []string{
			"ALL of a token (PermitSingle)?", "UNLIMITED: " + number(160, "1") + " (2^160-1) of " + accountB + ", WITHOUT AN END",
		}},
		"one transfer": {permitFrom, `{"permitted":{"token":"` + accountB + `","amount":"` + all + `"},"spender":"` + thief + `","nonce":"7","deadline":"1"}`, []string{"ALL of a token (PermitTransferFrom)?", "UNLIMITED", "Field: nonce: 7"}},
		"transfers": {permitMany, `{"permitted":[{"token":"` + accountB + `","amount":"5"},{"token":"` + to + `","amount":"` + all + `"}],"spender":"` + thief + `","nonce":"7","deadline":"1"}`, []string{
			"ALL of a token (PermitBatchTransferFrom)?", "May be taken, 1 of 2: UNLIMITED: " + all + " (2^256-1) of " + to, "May be taken, 2 of 2: 5 (smallest units) of " + accountB,
		}},
		"a witness is no permission": {permitOrder, `{"permitted":{"token":"` + accountB + `","amount":"5"},"spender":"` + thief + `","nonce":"7","deadline":"1","witness":{"token":"` + to + `","amount":"` + all + `","note":"x"}}`, []string{
			"let another take tokens", "\nMay be taken: 5 (smallest units) of " + accountB, "Field: witness.amount: UNLIMITED: ", "Field (text): witness.note: x",
		}},
		"not understood": {"PermitFoo(uint256 bar)", `{"bar":"5"}`, []string{"sign typed data, PermitFoo?", "Kind: a PERMIT", "Field: bar: 5"}},
	} {
		has(t, name, shown(t, typed(row.types, row.message)), row.want...)
	}
}

// A long list hides nothing that bounds nothing, wherever in it that is.
func TestAttackTheWorstPermitOfALongListIsShown(t *testing.T) {
	t.Parallel()
	item := func(token int, amount string) string {
		return fmt.Sprintf(`{"token":"0x%040x","amount":%q,"expiration":"0","nonce":"0"}`, token, amount)
	}
	batch := func(worst ...int) []string {
		var all []string
		for i := range 200 {
			all = append(all, item(0x10000+i, "1"))
		}
		for _, i := range worst {
			all[i] = item(0x10000+i, number(160, "1"))
		}
		return shown(t, typed(permitBatch, `{"details":[`+strings.Join(all, ",")+`],"spender":"`+thief+`","sigDeadline":"1"}`))
	}
	has(t, "one", batch(150), "ALL of a token (PermitBatch)?", "May be taken, 1 of 200: UNLIMITED: ", "0x0000000000000000000000000000000000010096", "May be taken: and 197 more, NOT SHOWN\n")
	has(t, "many", batch(1, 50, 100, 150, 199), "ALL of 5 tokens (PermitBatch)?", "May be taken: and 197 more, NOT SHOWN, 2 of them UNLIMITED\n")
	// The same in types that nobody knows.
	var fields []string
	for i := range 300 {
		fields = append(fields, fmt.Sprintf(`{"note":%q,"maxAmount":"1"}`, strings.Repeat("x", 300)+fmt.Sprint(i)))
	}
	fields[250] = `{"note":"","maxAmount":"` + number(256, "1") + `"}`
	has(t, "unknown", shown(t, typed("Foo(Bar[] bars)Bar(string note,uint256 maxAmount)", `{"bars":[`+strings.Join(fields, ",")+`]}`)),
		"Field: bars[250].maxAmount: UNLIMITED: ", " more, NOT SHOWN\n")
}

const seaport = "OrderComponents(address offerer,OfferItem[] offer,ConsiderationItem[] consideration,uint256 salt)" +
	"ConsiderationItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount,address recipient)" +
	"OfferItem(uint8 itemType,address token,uint256 identifierOrCriteria,uint256 startAmount,uint256 endAmount)"

func offer(kind int, id, amount, end, recipient string) string {
	if recipient != "" {
		recipient = `,"recipient":"` + recipient + `"`
	}
	return fmt.Sprintf(`{"itemType":%d,"token":"%s","identifierOrCriteria":"%s","startAmount":"%s","endAmount":"%s"%s}`, kind, accountB, id, amount, end, recipient)
}

func order(gives, gets string) string {
	return `{"offerer":"` + accountA + `","offer":[` + gives + `],"consideration":[` + gets + `],"salt":"9"}`
}

// Orders that give all and get nothing for it are how collections are stolen.
func TestAttackAnOrderSaysWhatItGivesAndWhoIsPaid(t *testing.T) {
	t.Parallel()
	nft, ether := offer(2, "77", "1", "1", ""), "1000000000000000000"
	for name, row := range map[string]struct {
		message string
		want    []string
	}{
		"a sale": {order(nft, offer(0, "0", ether, ether, accountA)+","+offer(0, "0", "1", "1", to)), []string{
			"swap or sell tokens (OrderComponents)?", "Kind: an ORDER: whoever holds it can take 1 things, this account gets 1 of the 2 things that are asked for",
			"Gives: 1 of the token no. 77 of " + accountB, "Gets: 1 ether (the chain's coin)",
		}},
		"for nothing":        {order(nft, ""), []string{"give tokens away FOR NOTHING", "this account GETS NOTHING", "Gives: 1 of the token no. 77"}},
		"paid to the thief":  {order(nft, offer(0, "0", ether, ether, thief)), []string{"give tokens away FOR NOTHING", "GETS NOTHING"}},
		"paid with nothing":  {order(nft, offer(0, "0", ether, "0", accountA)), []string{"give tokens away FOR NOTHING"}},
		"a whole collection": {order(offer(4, "0", "1", "1", ""), ""), []string{"Gives: 1 of ANY tokens of " + accountB}},
		"many":               {order(strings.Repeat(nft+",", 11)+nft, offer(1, "0", "5", "6", accountA)), []string{"can take 12 things", "Gives, 3 of 12: ", "Gives: and 9 more, NOT SHOWN", "Gets: 5, in the end 6 (smallest units) of " + accountB}},
		"of a new kind":      {order(offer(9, "0", "1", "1", ""), ""), []string{"Gives: 1 of something NOT UNDERSTOOD HERE"}},
	} {
		has(t, name, shown(t, typed(seaport, row.message)), row.want...)
	}
	one := order(nft, "")
	has(t, "bulk", shown(t, typed("BulkOrder(OrderComponents[2][2] tree)"+seaport, `{"tree":[[`+one+`,`+one+`],[`+one+`,`+one+`]]}`)),
		"Kind: 4 ORDERS under one signature: whoever holds it can take 4 things, this account GETS NOTHING", "Gives, 1 of 4: ")
	has(t, "another's", shown(t, typed("LimitOrder(uint256 makerAmount)", `{"makerAmount":"1"}`)), "an ORDER, NOT UNDERSTOOD HERE")
}

// The middle of a long text is where one hides what nobody should read.
func TestAttackTheEndOfALongTextIsShownAndWhatIsNotIsCounted(t *testing.T) {
	t.Parallel()
	text := func(s string) []string {
		return shown(t, req("account_signData", fmt.Sprintf(`["text/plain",%q,"0x%x"]`, accountA, s)))
	}
	long := "I agree. " + strings.Repeat("x", 10_000) + "I give you everything."
	has(t, "long", text(long), "\nText: I agree. xxx", "\nNOT SHOWN: 9231 bytes between\n", "\nits end: xxx", "xI give you everything.\n", "\nLength: 10031 bytes\n",
		"\nSHA-256: 391f6f25e10ea2d2", "\nHash: ")
	signIn := "app.example.org wants you to sign in:\n" + strings.Repeat("x", 700) + "\nResources: all"
	lines := text(signIn)
	has(t, "all of it", lines, "\nText: app.example.org wants you to sign in:\\x0axxx", "x\\x0aResources: all\n")
	if strings.Contains(strings.Join(lines, "\n"), "NOT SHOWN") {
		t.Errorf("something is not shown: %q", lines)
	}
	// The hash that every wallet shows of this text.
	has(t, "hello", text("hello"), "\nText: hello\n", "\nHash: 50b2c43fd39106bafbba0da34fc430e1f91e3c96ea2acee2bc34119f92b37750, as Clef and wallets show it\n")
}

// Letters that a client chooses make no line, no value and no end of one.
func TestAttackHostileLettersForgeNoLine(t *testing.T) {
	t.Parallel()
	for name, evil := range map[string]string{
		"line feeds": "x\nTo: 0x0\r\nAmount: 0 ether\u2028Fee: none", "markup": "</b><span size='99'>&bogus;", "backwards": "\u202e\u2066abc\u200b", "escapes": "\x1b[2J\x00\x7f\\x0a",
		"no UTF-8": "\xff\xfe", "long": strings.Repeat("Field: amount: 0 ", 400), "wide": strings.Repeat("W\n", 4000),
	} {
		body := typed("Foo("+strings.Repeat("a", 120)+" "+strings.Repeat("b", 120)+",string note,uint256 amount)"+strings.Repeat("a", 120)+"(uint256 "+strings.Repeat("c", 120)+")",
			`{"`+strings.Repeat("b", 120)+`":{"`+strings.Repeat("c", 120)+`":"7777777"},"note":`+quoted(evil)+`,"amount":"`+number(256, "1")+`"}`)
		lines := shown(t, strings.Replace(body, `"name":"Token"`, `"name":`+quoted(evil), 1))
		has(t, name, lines, "\nField: amount: UNLIMITED: ", ": 7777777\n", "\nContract: "+to)
		for _, l := range lines {
			if strings.HasPrefix(l, "To: ") || strings.HasPrefix(l, "Amount: ") || strings.HasPrefix(l, "Field: amount: 0") {
				t.Errorf("%s: forged: %q", name, lines)
			}
		}
		text := fmt.Sprintf(`["text/plain",%q,"0x%x"]`, accountA, strings.Repeat(evil, 50))
		has(t, name, shown(t, req("account_signData", text)), "\nAccount: "+accountA+"\nPage: https://app.example.org\n")
	}
}

// quoted writes any bytes as a text of JSON.
func quoted(s string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "?") {
		fmt.Fprintf(&b, `\u%04x`, r)
	}
	return `"` + b.String() + `"`
}

func TestAccessListsAreShownBounded(t *testing.T) {
	t.Parallel()
	entry := `{"address":"` + to + `","storageKeys":["0x` + strings.Repeat("0", 64) + `"]}`
	tx := func(n int) []string {
		list := strings.TrimSuffix(strings.Repeat(entry+",", n), ",")
		return shown(t, req("account_signTransaction", transaction(`,"accessList":[`+list+`]`)))
	}
	has(t, "one", tx(1), "\nAccess list: 1 contracts, 1 storage keys: "+to+"\n")
	has(t, "many", tx(500), "\nAccess list: 500 contracts, 500 storage keys: "+to+" "+to+" and 498 more, NOT SHOWN\n")
	if text := strings.Join(tx(0), "\n"); strings.Contains(text, "Access") {
		t.Error(text)
	}
}

// Whatever typed data or text comes, the question can be asked, fits a screen, and
// ends with the account and the page.
func FuzzQuestion(f *testing.F) {
	f.Add(typed(permitBatch, `{"details":[{"token":"`+accountB+`","amount":"`+number(160, "1")+`","expiration":"0","nonce":"0"}],"spender":"`+thief+`","sigDeadline":"1"}`), "hi\n\u202e\\")
	f.Add(typed(permit2612, `{"owner":"`+accountA+`","spender":"`+thief+`","value":"`+number(256, "1")+`","nonce":"0","deadline":"1"}`), "")
	f.Add(typed(seaport, order(offer(4, "0", "1", "1", ""), offer(0, "0", "1", "0", accountA))), strings.Repeat("\xff", 1000))
	f.Add(req("account_signTransaction", transaction(`,"data":"0x095ea7b3`+strings.Repeat("f", 128)+`"`)), strings.Repeat("x", 700))
	f.Fuzz(func(t *testing.T, body, text string) {
		for _, body := range []string{body, req("account_signData", fmt.Sprintf(`["text/plain",%q,"0x%x"]`, accountA, text))} {
			w, p := vault(t, askAll), &person{}
			w.Person = p
			if w.ask(t, "", `split-clef/1 {"origin":"https://app.example.org"}`+"\n"+body); len(p.asked) == 0 {
				continue
			}
			lines, rows := p.asked[0].Lines, 0
			for _, l := range lines {
				rows += strings.Count(consent.Wrap(l.Label+": "+l.Text), "\n") + 1
			}
			if err := p.asked[0].Check(); err != nil || rows > consent.MaxRows+2 || lines[len(lines)-1].Label != "Page" {
				t.Fatalf("%v, %d rows: %+v", err, rows, lines)
			}
		}
	})
}
