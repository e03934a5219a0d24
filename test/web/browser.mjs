// A real browser on pages that use a signer on localhost, and on pages that abuse
// it. Prints one line of JSON for each case; takes pictures where SHOTS names a
// directory. CERT and KEY are files of a certificate for the pages, which are
// served on port 4443 of this network namespace. OLD=1 makes it a browser that does
// not ask before a page may talk to this machine.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const page443 = 4443
const html = readFileSync(process.env.PAGE, 'utf8')

const server = createServer({ cert: readFileSync(process.env.CERT), key: readFileSync(process.env.KEY) }, (request, response) => {
	// As a page does that wants to be able to send no referrer, and no origin.
	if (request.url === '/no-origin') {
		response.setHeader('Referrer-Policy', 'no-referrer')
	}
	response.setHeader('Content-Type', 'text/html')
	response.end(html)
})
await new Promise((done) => server.listen(page443, '127.0.0.1', done))

const browser = await chromium.launch({
	executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
	args: [
		...(process.env.OLD ? ['--disable-features=LocalNetworkAccessChecks'] : []),
		'--no-sandbox', '--disable-gpu', '--ignore-certificate-errors',
		// The pages come from the internet, as far as the browser knows.
		`--ip-address-space-overrides=127.0.0.1:${page443}=public`,
		`--host-resolver-rules=MAP *.example 127.0.0.1:${page443}, MAP *.example.org 127.0.0.1:${page443}, MAP rebind.invalid 127.0.0.1`,
	],
})

function say(name, result) {
	console.log(JSON.stringify({ case: name, result }))
}

// visit opens a page whose origin may use the local network, or not, as the person
// said when the browser asked.
async function visit(url, permission = true) {
	const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 800, height: 500 } })
	if (permission) {
		await context.grantPermissions(['local-network-access'])
	}
	const page = await context.newPage()
	await page.goto(url)
	return page
}

async function picture(page, name) {
	if (process.env.SHOTS) {
		await page.screenshot({ path: join(process.env.SHOTS, name + '.png') })
	}
	await page.context().close()
}

const cases = {
	async 'allowed page'() {
		const page = await visit('https://app.example.org/')
		const result = await page.evaluate('show()')
		await picture(page, 'allowed')
		return result
	},
	async 'allowed page, permission denied'() {
		const page = await visit('https://app.example.org/', false)
		const result = await page.evaluate('show()')
		await picture(page, 'no-permission')
		return result
	},
	async 'refused page'() {
		const page = await visit('https://evil.example/')
		const result = await page.evaluate('show()')
		await picture(page, 'refused')
		return result
	},
	async 'attempts of a refused page'() {
		const page = await visit('https://evil.example/')
		const result = await page.evaluate('(async () => { const all = {}; for (const [k, f] of Object.entries(attempts)) all[k] = await f(); return all })()')
		await page.context().close()
		return result
	},
	async 'websocket of an allowed page'() {
		const page = await visit('https://app.example.org/')
		const result = await page.evaluate('attempts.websocket()')
		await page.context().close()
		return result
	},
	async 'form of a page without origin'() {
		const page = await visit('https://evil.example/no-origin')
		const [response] = await Promise.all([page.waitForNavigation(), page.evaluate('submit()')])
		const sent = await response.request().allHeaders()
		const result = { status: response.status(), origin: sent.origin, site: sent['sec-fetch-site'], body: await page.textContent('body') }
		await picture(page, 'form')
		return result
	},
	async 'form of a page'() {
		const page = await visit('https://evil.example/')
		const [response] = await Promise.all([page.waitForNavigation(), page.evaluate('submit()')])
		const result = { status: response.status(), origin: (await response.request().allHeaders()).origin }
		await page.context().close()
		return result
	},
	// The page's own name leads to this machine after the page has been loaded.
	async 'DNS rebinding'() {
		const context = await browser.newContext()
		await context.grantPermissions(['local-network-access'])
		const page = await context.newPage()
		await page.route('http://rebind.invalid:8550/page', (route) => route.fulfill({ contentType: 'text/html', body: html }))
		await page.goto('http://rebind.invalid:8550/page')
		const result = await page.evaluate(`ask('account_list', [], '/')`)
		await page.context().close()
		return result
	},
	async 'address bar'() {
		const context = await browser.newContext()
		const page = await context.newPage()
		const response = await page.goto('http://localhost:8550/')
		const result = { status: response.status(), body: await page.textContent('body') }
		await context.close()
		return result
	},
}

let failed = false
for (const [name, run] of Object.entries(cases)) {
	try {
		say(name, await run())
	} catch (e) {
		failed = true
		say(name, { failed: String(e) })
	}
}
await browser.close()
server.close()
process.exitCode = failed ? 1 : 0
