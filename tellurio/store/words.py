"""The words that names of Runs are made from: ``hungry_brownie_557``."""

from __future__ import annotations

__all__ = ["ADJECTIVES", "FOODS"]

_ADJECTIVES = """
able airy alert amiable ample amused ardent artful avid awake balanced beaming blissful blithe bold bouncy brave
breezy brief bright brisk bubbly busy calm candid careful caring casual cheerful cheery chipper civil clear clever
cosy cool cordial crafty crisp curious dainty dapper daring dashing dazzling deft devoted diligent dreamy driven eager
earnest easy elated elegant eloquent epic even exact expert fair faithful famous fancy fearless festive fiery fine
firm fleet fluent focused fond frank free fresh friendly frugal funny gallant generous gentle genuine giddy gifted
glad gleaming glowing golden graceful gracious grand grateful handy happy hardy hearty helpful honest hopeful humble
hungry ideal inventive jaunty jazzy jolly jovial joyful jubilant keen kind knowing lavish learned light lively logical
loyal lucid lucky lunar mellow merry mighty mindful modest musical neat nimble noble novel open patient peaceful peppy
perky placid playful plucky poetic polite prompt proper proud prudent punctual quaint quick quiet quirky radiant rapid
ready relaxed robust rosy rustic savvy serene sharp shiny silent sincere sleek smart smiling smooth snappy social
solar solid sparkling spirited splendid sprightly spry stately steady stellar sturdy subtle sunny swift tactful tender
thankful thrifty tidy tranquil trusty upbeat valiant vibrant vigilant vivid warm wily wise witty worldly zany zealous
zesty
"""
_FOODS = """
almond apple apricot artichoke arugula asparagus avocado bagel baguette banana barley basil bean beet biryani biscuit
blini blueberry borscht brioche broccoli brownie bruschetta burrito butter cabbage cannoli caper caramel cardamom
carrot cashew cauliflower celery ceviche chai challah cheddar cherry chestnut chickpea chili chive chocolate chowder
churro ciabatta cider cinnamon clementine cobbler coconut compote cookie coriander couscous cracker cranberry crepe
croissant crouton crumpet cucumber cupcake curry custard dal date dill dolma donut dosa dumpling eclair edamame
enchilada fajita falafel fennel feta fig focaccia fondue frittata fudge galette garlic gazpacho gelato ginger gnocchi
gouda granola grape guacamole gumbo gyoza halloumi hazelnut honey hummus injera jambalaya jelly kale kebab ketchup
kimchi kiwi knish kohlrabi lasagna latke lavash leek lemon lentil lime lychee macaron mango maple marmalade marzipan
melon meringue millet miso mochi mousse muffin mushroom mustard naan nachos noodle nougat nutmeg oat olive omelette
onion orange oregano paella pancake panini papaya paprika parfait parsley parsnip pasta pastry peach peanut pear pecan
pesto pho pickle pie pierogi pilaf pistachio pita pizza plum polenta popcorn porridge potato pretzel pudding pumpkin
quesadilla quiche quince quinoa radish raisin ramen raspberry ratatouille ravioli rhubarb ricotta risotto saffron
salad salsa samosa sandwich scone sesame shallot sherbet sorbet souffle soup spinach squash strudel sushi taco tagine
tahini tamale tapioca tart tempura tiramisu toast toffee tofu tomato tortilla truffle turnip udon vanilla waffle
walnut wasabi wonton yam yogurt ziti zucchini
"""
ADJECTIVES = tuple(_ADJECTIVES.split())
FOODS = tuple(_FOODS.split())
