{#- dom0: who may call. What no line allows is refused, without a popup. -#}
{% from 'splitvault/map.jinja' import splitvault with context %}
{% set calls = {
  'ssh': ['qubes.Ssh'],
  'clef': ['qubes.Clefsign'],
  'pass': ['pass.ListPasswords', 'pass.GetField', 'pass.FindLogin'],
} %}
{% set others = ['pass.GetPassword', 'pass.InsertPassword', 'pass.GeneratePassword'] %}
{% if splitvault.policy == 'ask' %}
{% set action = 'ask target=' ~ splitvault.vault ~ ' default_target=' ~ splitvault.vault %}
{% else %}
{% set action = 'allow target=' ~ splitvault.vault %}
{% endif %}
{% if grains['nodename'] == 'dom0' %}
splitvault-policy:
  file.managed:
    - name: /etc/qubes/policy.d/30-splitvault.policy
    - user: root
    - group: qubes
    - mode: '0664'
    - check_cmd: qubes-policy-lint
    - contents: |
        # By the Salt state splitvault.policy, from map.jinja: changes here are lost.
{%- for service, names in calls.items() %}
{%- for name in names %}
        {{ name }} * @tag:splitvault-{{ service }} @anyvm {{ action }}
{%- endfor %}
{%- endfor %}
{%- for names in calls.values() %}
{%- for name in names %}
        {{ name }} * @anyvm * deny notify=no
{%- endfor %}
{%- endfor %}
{%- for name in others %}
        {{ name }} * @anyvm * deny notify=no
{%- endfor %}
{% endif %}
